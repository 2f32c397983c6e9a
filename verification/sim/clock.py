"""Virtual time: nothing happens between two events, so an hour takes only as long as its events."""

from __future__ import annotations

import heapq
from collections.abc import Callable

START = 1_700_000_000_000
"""The start of every simulation, ms since epoch."""


class Clock:
    """``now`` is ms since epoch. What is due at the same moment happens in the order in which it was planned."""

    def __init__(self) -> None:
        self.now = START
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    @property
    def seconds(self) -> float:
        """A monotonic reading, in seconds."""
        return self.now / 1000

    def later(self, ms: int, event: Callable[[], None]) -> None:
        """Plan an event for ``ms`` from now."""
        self._planned += 1
        heapq.heappush(self._events, (self.now + ms, self._planned, event))

    def run_until(self, end: int) -> None:
        """Run every event that is due before ``end``. An event may call this itself, and continues afterwards."""
        while self._events and self._events[0][0] < end:
            at, _, event = heapq.heappop(self._events)
            self.now = max(self.now, at)
            event()
        self.now = max(self.now, end)
