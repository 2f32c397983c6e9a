"""When a message that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """``attempts`` tries, the first included; waits of ``backoff`` seconds that double up to ``longest``."""

    attempts: int = 3
    backoff: float = 1.0
    longest: float = 60.0

    def wait(self, attempt: int, jitter: float) -> int:
        """Ms to wait after that many tries; ``jitter`` from 0 to 1 takes up to half of it off."""
        seconds = min(self.backoff * 2.0 ** max(attempt - 1, 0), self.longest)
        return round(seconds * (1 - jitter / 2) * 1000)
