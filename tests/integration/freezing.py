"""``python -m tests.integration.freezing <service>``: a service that stops itself with a decision in hand.

Once the file ``FREEZE_FILE`` is there, the process sends itself SIGSTOP the next time it has decided something and
written nothing of it yet, and removes the file just before.
"""

from __future__ import annotations

import functools
import os
import runpy
import signal
import sys
from pathlib import Path

import eventbus
from eventbus.processing.ports import Step


def freeze_at(file: Path) -> None:
    """Make ``serve`` pass a hook that stops the process once, between deciding and writing."""

    def after_step(step: Step, count: int) -> None:
        if step is Step.DECIDED and count and file.exists():
            file.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    eventbus.serve = functools.partial(eventbus.serve, after_step=after_step)


if __name__ == "__main__":
    freeze_at(Path(os.environ["FREEZE_FILE"]))
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
