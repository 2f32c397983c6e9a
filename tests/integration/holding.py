"""``python -m tests.integration.holding <service>``: a service that stays in the middle of a transaction.

Once the file ``HOLD_FILE`` is there, the processor waits for ever the next time it has sent offsets, and removes the
file just before. The client's own threads go on, so what was produced reaches the brokers: the transaction stays open
there until the process is killed.
"""

from __future__ import annotations

import functools
import os
import runpy
import sys
import threading
from pathlib import Path

import eventbus
from eventbus.processing.ports import Step


def hold_at(file: Path) -> None:
    """Make ``serve`` pass a hook that waits for ever, once, between the offsets and the commit."""

    def after_step(step: Step, count: int) -> None:
        if step is Step.OFFSETS_SENT and count and file.exists():
            file.unlink()
            threading.Event().wait()

    eventbus.serve = functools.partial(eventbus.serve, after_step=after_step)


if __name__ == "__main__":
    hold_at(Path(os.environ["HOLD_FILE"]))
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
