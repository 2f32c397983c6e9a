"""``python -m tests.integration.beginning <service>``: a real service that begins where ``START_FROM`` says.

If ``CRASH_FILE`` exists, the process kills itself with its first offsets sent but not committed, and removes the file
just before.
"""

from __future__ import annotations

import functools
import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path

import eventbus
from eventbus.processing.ports import AfterStep, Step

FILE = Path(os.environ["CRASH_FILE"])


def after_step(step: Step, count: int) -> None:
    if step is Step.OFFSETS_SENT and FILE.exists():
        FILE.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def serve(
    real: functools.partial[None], service: eventbus.Service, settings: eventbus.Settings | None = None
) -> None:
    real(replace(service, start_from=os.environ["START_FROM"]), settings)


if __name__ == "__main__":
    hook: AfterStep = after_step
    eventbus.serve = functools.partial(serve, functools.partial(eventbus.serve, after_step=hook))
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
