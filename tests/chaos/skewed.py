"""Runs a service whose clock is wrong by what a file says: ``python -m tests.chaos.skewed order``.

``SKEW_FILE`` holds seconds, negative ones too, and may change at any time: then the clock jumps. Only the time of day
does; what measures intervals goes on, as on a machine whose clock is set.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

LOOK_EVERY = 0.05


class Skew:
    """The time of day, wrong by what the file says."""

    def __init__(self, path: Path) -> None:
        self._path, self._real, self._looked, self._by = path, time.time_ns, 0.0, 0

    def time_ns(self) -> int:
        """As ``time.time_ns``."""
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            self._by = int(float(self._path.read_text() or 0) * 1e9) if self._path.exists() else 0
        return self._real() + self._by

    def time(self) -> float:
        """As ``time.time``."""
        return self.time_ns() / 1e9


if __name__ == "__main__":
    skew = Skew(Path(os.environ["SKEW_FILE"]))
    time.time_ns, time.time = skew.time_ns, skew.time
    runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
