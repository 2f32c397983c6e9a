"""Keys for what begins now: those of one moment fall into the same partitions.

What a transaction costs the brokers grows with the partitions that it touches. So what begins within a moment goes to
one partition, or to a quarter of many, and then it is the turn of the next. Whoever follows the key through other
topics touches few partitions at a time too. Over time all partitions get the same share.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable

from eventbus.kafka.records import partition_of

TURN = 0.1
"""Seconds after which the turn passes to the next partition: a few transactions of a service."""
SHARE = 4
"""At most so many keys are drawn for one that is taken, on average: a turn is that of a partition in so many."""
TRIES = 32
"""Keys drawn at most. The last one is taken wherever it falls, since each partition is right."""


class NewKeys:
    """Draws keys until one falls where it is wanted. Any thread."""

    def __init__(
        self,
        partitions: int,
        monotonic: Callable[[], float] = time.monotonic,
        dice: Callable[[int], int] = random.randrange,
    ) -> None:
        """``dice``: where this process begins, so that replicas do not all begin in one partition."""
        self._partitions, self._monotonic = partitions, monotonic
        self._together = math.ceil(partitions / SHARE)
        self._begin = dice(partitions)

    def new(self, draw: Callable[[], str]) -> str:
        """One of the keys that ``draw`` gives, each of which must be random."""
        first = self._begin + int(self._monotonic() / TURN)
        for _ in range(TRIES):
            key = draw()
            if (partition_of(key.encode(), self._partitions) - first) % self._partitions < self._together:
                break
        return key
