"""How many requests a caller may send to this replica: token buckets."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_CALLERS = 10_000
"""Callers that are counted at once. Of more, the one that was silent for longest is forgotten."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """``rate`` requests a second on the average, and ``burst`` at once."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self.policy = f'"default";q={burst};w={math.ceil(burst / rate)}'
        """The ``RateLimit-Policy`` header: a quota, and the seconds in which it comes back."""

    def take(self, caller: str) -> tuple[bool, str, int]:
        """Count a request of ``caller``: whether it may go on, the ``RateLimit`` header, and seconds to the next."""
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(float(self._burst), now)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
            bucket.left = min(float(self._burst), bucket.left + (now - bucket.at) * self._rate)
            bucket.at = now
        is_allowed = bucket.left >= 1
        if is_allowed:
            bucket.left -= 1
        wait = max(0, math.ceil((1 - bucket.left) / self._rate))
        full = math.ceil((self._burst - bucket.left) / self._rate)
        return is_allowed, f'"default";r={int(bucket.left)};t={full}', wait
