"""How long the processor rests after a transaction, so that batches grow with the load.

A transaction costs the brokers about the same, however much it holds. So transactions take a share of the time at
most; whatever arrives while the processor rests goes together into the next one. Time in which there was nothing to
do is saved up, so that a service with little to do does not rest at all. After a full batch there is no rest either:
what it would gather waits already.
"""

from __future__ import annotations

from collections.abc import Callable

SAVED = 0.05
"""Seconds of transactions that may be saved up."""
OWED = 1 / 60
"""Seconds of transactions that may be taken in advance: a rest takes ``OWED / share`` seconds at most."""
LONGEST = 0.5
"""Seconds that a rest takes at most, however small the share is: calls, deadlines and the group wait for a rest."""


class Pace:
    """Lives on the processor's thread."""

    def __init__(self, share: float, monotonic: Callable[[], float]) -> None:
        """``share``: of the time that transactions take at most; 1 is no rest. Raises ValueError if it is none."""
        if not 0 < share <= 1:
            raise ValueError(f"transactions take {share} of the time at most: it must be above 0, up to 1")
        self._share, self._monotonic = share, monotonic
        self._owed = min(OWED, LONGEST * share)
        self._left = SAVED
        """Seconds that transactions may take now. Negative: so much was taken in advance."""
        self._at = monotonic()

    def took(self, seconds: float) -> None:
        """A transaction has ended that took so long."""
        now = self._monotonic()
        self._left = min(self._left + (now - self._at) * self._share, SAVED) - seconds
        self._left, self._at = max(self._left, -self._owed), now

    def rest(self) -> float:
        """How many seconds there are to rest now, after a turn."""
        passed = self._monotonic() - self._at
        return max(0.0, -self._left / self._share - passed)
