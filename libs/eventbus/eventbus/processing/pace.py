"""How long the processor rests after a transaction, so that batches grow with the load.

A transaction costs the brokers about the same, however much it holds. So transactions take a share of the time at
most; whatever arrives while the processor rests goes together into the next one. A rest that would gather next to
nothing is not taken: a service with little to do answers at once. After a full batch there is no rest either: what it
would gather waits already.

Rests are even, since services that work together fall into step: what one has written, the others answer while it
rests. So the rest goes by what transactions take lately, not by what the last one took.
"""

from __future__ import annotations

import math
from collections.abc import Callable

WORTH = 3.0
"""Messages that a transaction would hold if it came after a rest. With fewer there is none."""
LATELY = 1.0
"""Seconds after which what happened counts a third."""
NEWS = 0.1
"""How much the last transaction counts in what they take lately."""
TAKEN = 1 / 60
"""Seconds of a transaction that rests go by at most: one that took longer met a trouble that rests do not help. So a
rest takes ``TAKEN / share`` seconds at most."""
LONGEST = 0.5
"""Seconds that a rest takes at most, however small the share is: calls, deadlines and the group wait for a rest."""


class Pace:
    """Lives on the processor's thread."""

    def __init__(self, share: float, monotonic: Callable[[], float]) -> None:
        """``share``: of the time that transactions take at most; 1 is no rest. Raises ValueError if it is none."""
        if not 0 < share <= 1:
            raise ValueError(f"transactions take {share} of the time at most: it must be above 0, up to 1")
        self._share, self._monotonic = share, monotonic
        self._usual = 0.0
        """Seconds that a transaction takes lately."""
        self._messages = 0.0
        """Messages decided lately, those of long ago for less."""
        self._ended = monotonic()

    def took(self, seconds: float, messages: int) -> None:
        """A transaction has ended that took so long, and held what so many messages led to."""
        now = self._monotonic()
        self._messages = messages + self._messages * math.exp((self._ended - now) / LATELY)
        counted = min(seconds, TAKEN)
        self._usual += (counted - self._usual) * (NEWS if self._usual else 1)
        self._ended = now

    def rest(self) -> float:
        """How many seconds there are to rest now, after a turn."""
        every = min(self._usual / self._share, LONGEST)
        if self._messages / LATELY * every < WORTH:
            return 0.0
        return max(0.0, self._ended + every - self._usual - self._monotonic())
