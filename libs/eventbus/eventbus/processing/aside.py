"""Stepping aside: a record that newer code wrote stops a task here, but it stops no replica that runs that code.

While this replica is assigned the task, nobody leads it. So it leaves the consumer group, and goes on following.
It enters again when no such record stops it any more, or when some task has work and nobody gets on with it: then the
others cannot read the record either (perhaps it is forged), or they are gone, and this replica is needed. It never
leaves while it is assigned all tasks: it may be the last member. After each vain attempt it waits twice as long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from eventbus.kafka.errors import comes_too_early
from eventbus.model.places import Partition
from eventbus.processing.follower import Follower
from eventbus.processing.tasks import Tasks

log = logging.getLogger("eventbus.aside")
LOOK = 5.0
"""Seconds between two looks whether this replica is needed. A task without progress from one to the next needs it."""
PAUSE, LONGEST = 10.0, 3600.0
"""Seconds between the first vain attempt and the next, and the most there are between two later ones."""


class Aside:
    """Lives on the processor's thread."""

    def __init__(
        self, tasks: Tasks, follower: Follower, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tasks, self._follower, self._monotonic = tasks, follower, monotonic
        self.is_aside = False
        """Whether this replica has left its group."""
        self._backlog: dict[Partition, int] = {}
        """While aside: the inputs that had work at the last look, and how far the group had come with them."""
        self._due = 0.0
        """Before that nothing is done: the next look while aside, else the next attempt."""
        self._pause = PAUSE

    def turn(self) -> None:
        """Leave the group, or enter it again, if it is time for that. Cheap otherwise."""
        newer = [part.number for part, stop in self._follower.stopped.items() if stop.newer]
        try:
            if self.is_aside and not newer:
                self._pause = PAUSE
                self._enter("no record of newer code stops it any more")
            elif newer and self._monotonic() >= self._due:
                if self.is_aside:
                    self._look()
                elif (self._tasks.assigned - self._tasks.led) & set(newer) and not self._tasks.assigned_all:
                    self._leave()
        except KafkaException as exception:
            if not comes_too_early(exception.args[0]):
                raise

    def _leave(self) -> None:
        log.error("leaves the consumer group: other replicas may read what stops it")
        self.is_aside, self._backlog, self._due = True, {}, self._monotonic() + LOOK
        self._tasks.leave_group()

    def _look(self) -> None:
        self._due = self._monotonic() + LOOK
        backlog = self._tasks.backlog()
        waits = [str(part) for part, upto in backlog.items() if self._backlog.get(part) == upto]
        self._backlog = backlog
        if waits:
            self._due = self._monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST)
            self._enter(f"nobody gets on with {', '.join(sorted(waits))}")

    def _enter(self, why: str) -> None:
        log.warning("enters the consumer group again: %s", why)
        self.is_aside = False
        self._tasks.enter_group()
