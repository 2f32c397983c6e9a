"""``python -m tests.integration.crashing <service>``: a real service that kills itself where a test says so.

The file ``CRASH_FILE`` names the step after which to die (a value of :class:`eventbus.processing.ports.Step`). It
is looked at after each step that had work in hand, and removed just before dying, so that the next process lives.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from eventbus.processing.ports import Step
from tests.integration.hooked import run_with

FILE = Path(os.environ["CRASH_FILE"])


def after_step(step: Step, count: int) -> None:
    if count and FILE.exists() and FILE.read_text() == step.value:
        FILE.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    run_with(after_step)
