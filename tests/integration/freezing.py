"""``python -m tests.integration.freezing <service>``: a service that stops itself with a decision in hand.

Once the file ``FREEZE_FILE`` is there, the process sends itself SIGSTOP the next time it has decided something and
written nothing of it yet, and removes the file just before.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from eventbus.processing.ports import Step
from tests.integration.hooked import run_with

FILE = Path(os.environ["FREEZE_FILE"])


def after_step(step: Step, count: int) -> None:
    if step is Step.DECIDED and count and FILE.exists():
        FILE.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    run_with(after_step)
