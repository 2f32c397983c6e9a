"""Stepping aside: a record that newer code wrote stops a task here, but it stops no replica that runs that code.

While this replica is assigned the task, nobody leads it. So it leaves the consumer group, and goes on following.
It enters again when nothing stops it any more, or when the task has work and nobody gets on with it: then no replica
can read the record (perhaps it is forged), and this one is needed for the other tasks. It never leaves while it is
assigned all tasks, since it may be the last member. After each vain attempt it waits twice as long with the next.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaException

from eventbus.kafka.errors import comes_too_early
from eventbus.model.places import Partition
from eventbus.processing.follower import Follower
from eventbus.processing.tasks import Tasks

log = logging.getLogger("eventbus.aside")
PAUSE, LONGEST = 10.0, 3600.0
"""Seconds after which this replica looks whether it is needed, and which pass after the first vain attempt; and the
most that pass after later ones."""


class Aside:
    """Lives on the processor's thread."""

    def __init__(
        self, tasks: Tasks, follower: Follower, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tasks, self._follower, self._monotonic = tasks, follower, monotonic
        self._ends: dict[Partition, int] = {}
        """While aside: the partitions that are stopped here, and where each ended when last looked at."""
        self._due = 0.0
        """While aside, when to look next; else, before when not to leave."""
        self._pause = PAUSE

    @property
    def is_aside(self) -> bool:
        """Whether this replica has left its group."""
        return bool(self._ends)

    def turn(self) -> None:
        """Leave the group, or enter it again, if it is time for that. Cheap otherwise."""
        stopped = self._follower.stopped
        if self._ends and not (self._ends.keys() & stopped.keys()):
            self._pause = PAUSE
            self._enter("no record of newer code stops it any more")
        if not (self._ends or stopped) or self._monotonic() < self._due:
            return
        try:
            if self._ends:
                self._look()
            elif stuck := self._stuck():
                self._leave(stuck)
        except KafkaException as exception:
            if not comes_too_early(exception.args[0]):
                raise

    def _stuck(self) -> list[Partition]:
        """The partitions at which newer code's records keep tasks from being led that are assigned here."""
        waiting = self._tasks.assigned - self._tasks.led
        return [p for p, stop in self._follower.stopped.items() if stop.newer and p.number in waiting]

    def _leave(self, stuck: Iterable[Partition]) -> None:
        if self._tasks.assigned_all:
            return
        self._ends = {part: self._follower.end(part) for part in stuck}
        self._due = self._monotonic() + PAUSE
        log.error(
            "leaves the consumer group: other replicas may read %s", ", ".join(map(str, sorted(self._ends)))
        )
        self._tasks.leave_group()

    def _look(self) -> None:
        self._due = self._monotonic() + PAUSE
        ends = {part: self._follower.end(part) for part in self._ends if part in self._follower.stopped}
        if all(end <= self._ends[part] for part, end in ends.items()) and self._tasks.behind(
            {part.number for part in ends}
        ):
            self._due = self._monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST)
            self._enter(f"nobody gets on with the tasks of {', '.join(map(str, sorted(ends)))}")
        else:
            self._ends = ends

    def _enter(self, why: str) -> None:
        log.warning("enters the consumer group again: %s", why)
        self._ends = {}
        self._tasks.enter_group()
