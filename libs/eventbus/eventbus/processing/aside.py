"""Stepping aside: a record that newer code wrote stops a task here, but it stops no replica that runs that code.

While this replica is assigned the task, nobody leads it. So it leaves the consumer group, and goes on following.
It enters again when no such record stops it any more, or when there is work and nobody gets on with it: then the
others cannot read the record either (perhaps it is forged), or they are gone, and this replica is needed. Work is
input that is not decided, and what is overdue: deadlines, and parked messages. It never leaves while it is assigned
all tasks: it may be the last member. After each vain attempt it waits twice as long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException

from eventbus.kafka.errors import comes_too_early
from eventbus.processing.follower import Follower
from eventbus.processing.tasks import Tasks

log = logging.getLogger("eventbus.aside")
SPREAD = 8.0
"""Replicas of one release are stopped at the same moment. Each leaves at a random one in so many seconds, so that the
last of them sees that it is assigned all tasks, and stays."""
LOOK = 15.0
"""Seconds between two looks whether this replica is needed: work that is still the same needs it. It is more than one
call to the outside takes."""
PAUSE, LONGEST = 10.0, 3600.0
"""Seconds between the first vain attempt and the next, and the most there are between two later ones."""


class Aside:
    """Lives on the processor's thread."""

    def __init__(
        self,
        tasks: Tasks,
        follower: Follower,
        overdue: Callable[[set[int]], set[Any]],
        jitter: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``overdue``: what is overdue in all tasks but these. ``jitter`` gives a number from 0 to 1."""
        self._tasks, self._follower, self._overdue = tasks, follower, overdue
        self._jitter, self._monotonic = jitter, monotonic
        self.is_aside = False
        """Whether this replica has left its group."""
        self._work: set[Any] = set()
        """While aside: the work there was at the last look."""
        self._leaves_at: float | None = None
        self._due = 0.0
        """Before that nothing is done: the next look while aside, else the next attempt."""
        self._pause = PAUSE

    def turn(self) -> None:
        """Leave the group, or enter it again, if it is time for that. Cheap otherwise."""
        newer = {part.number for part, stop in self._follower.stopped.items() if stop.newer}
        try:
            if self.is_aside and not newer:
                self._pause = PAUSE
                self._enter("no record of newer code stops it any more")
            elif self.is_aside and self._monotonic() >= self._due:
                self._look()
            elif not self.is_aside:
                self._leave_in_time(newer)
        except KafkaException as exception:
            if not comes_too_early(exception.args[0]):
                raise

    def _leave_in_time(self, newer: set[int]) -> None:
        now = self._monotonic()
        if not newer or now < self._due or self._tasks.assigned_all or not self._stuck(newer):
            self._leaves_at = None
        elif self._leaves_at is None:
            self._leaves_at = now + SPREAD * self._jitter()
        elif now >= self._leaves_at:
            log.error("leaves the consumer group: other replicas may read what stops it")
            self._tasks.leave_group()
            self.is_aside, self._leaves_at = True, None
            self._work, self._due = set(), now + LOOK

    def _stuck(self, newer: set[int]) -> set[int]:
        """The tasks that nobody leads because they are assigned here."""
        return (self._tasks.assigned - self._tasks.led) & newer

    def _look(self) -> None:
        self._due = self._monotonic() + LOOK
        # What is overdue in a task that is stopped here may be done already: this replica does not see it.
        stopped = {part.number for part in self._follower.stopped}
        work = set(self._tasks.backlog().items()) | self._overdue(stopped)
        same = sorted(str(place) for place, _ in self._work & work)
        self._work = work
        if same:
            self._due = self._monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST)
            self._enter(f"nobody gets on with {', '.join(same[:5])}")

    def _enter(self, why: str) -> None:
        log.warning("enters the consumer group again: %s", why)
        self._tasks.enter_group()
        self.is_aside = False
