"""``python -m tests.integration.holding <service>``: a service that stays in the middle of a transaction.

Once the file ``HOLD_FILE`` is there, the processor waits for ever the next time it has sent offsets, and removes the
file just before. The client's own threads go on, so what was produced reaches the brokers: the transaction stays open
there until the process is killed.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from eventbus.processing.ports import Step
from tests.integration.hooked import run_with

FILE = Path(os.environ["HOLD_FILE"])


def after_step(step: Step, count: int) -> None:
    if step is Step.OFFSETS_SENT and count and FILE.exists():
        FILE.unlink()
        threading.Event().wait()


if __name__ == "__main__":
    run_with(after_step)
