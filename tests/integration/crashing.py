"""``python -m tests.integration.crashing <service>``: a real service that kills itself where a test says so.

The file ``CRASH_FILE`` names the step after which to die (a value of :class:`eventbus.processing.ports.Step`). It
is looked at after each step that had work in hand, and removed just before dying, so that the next process lives.
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


def die_after(file: Path) -> None:
    """Make ``serve`` pass a hook that dies after the step named in ``file``."""

    def after_step(step: Step, count: int) -> None:
        if count and file.exists() and file.read_text() == step.value:
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    eventbus.serve = functools.partial(eventbus.serve, after_step=after_step)


if __name__ == "__main__":
    die_after(Path(os.environ["CRASH_FILE"]))
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
