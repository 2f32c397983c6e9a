"""Tells the streams of users where their orders have new events: one look at what is new serves all streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from eventbus import Bus
from services.order.timeline import Timeline


class Follower:
    """One stream: it is told when events of its user were folded, and in which partitions."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.partitions: set[int] = set()


class UserFeed:
    """Looks at new rows of :class:`Timeline`, as long as somebody follows, whenever events are folded.

    New are those with higher row numbers. They belong to this replica alone and never leave this class.
    """

    def __init__(self, bus: Bus, log: str) -> None:
        self._bus, self._log = bus, log
        self._followers: dict[str, set[Follower]] = {}
        self._seen = 0
        self._watching = ExitStack()

    @contextmanager
    def follow(self, user_id: str) -> Iterator[Follower]:
        """Within it the follower is told. What is read after it began misses nothing."""
        follower = Follower()
        if not self._followers:
            self._watching.enter_context(self._bus.watch(self._log, None, self._look))
            self._seen = self._bus.query(Timeline.last_added)[0]["row"]
        self._followers.setdefault(user_id, set()).add(follower)
        try:
            yield follower
        finally:
            self._followers[user_id].discard(follower)
            if not self._followers[user_id]:
                del self._followers[user_id]
            if not self._followers:
                self._watching.close()

    def _look(self) -> None:
        for row in self._bus.query(Timeline.added, (self._seen,)):
            self._seen = max(self._seen, row["row"])
            for follower in self._followers.get(row["user_id"], ()):
                follower.partitions.add(row["partition"])
                follower.changed.set()
        if self._bus.why_unavailable(self._log):
            for follower in (one for followers in self._followers.values() for one in followers):
                follower.changed.set()
