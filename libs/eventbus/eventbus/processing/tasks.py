"""Which tasks this replica leads.

A task is partition *i* of every input of a service. It is led only while all of them are assigned, and only after the
own logs have been folded up to their end: a new leader (1) waits until the committed offsets are stable, so that
nothing of its predecessor is pending, (2) takes the end of the own logs, (3) reads them up to there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from eventbus.kafka.errors import comes_too_early
from eventbus.kafka.records import committed_of
from eventbus.kafka.transactions import PATIENCE
from eventbus.model.errors import NeedsRestart
from eventbus.model.places import Partition
from eventbus.processing.follower import Follower
from eventbus.settings import Settings

log = logging.getLogger("eventbus.tasks")


class TaskListener(Protocol):
    """Is called when tasks begin and end: on the processor's thread, in part from inside a poll."""

    def tasks_found(self, committed: dict[Partition, int]) -> bool:
        """Tasks are about to be led: what their group has committed for each input (negative: never).

        Returns whether that is settled. If not, they are found again later.
        """
        ...

    def task_led(self, task: int) -> None:
        """The task is led from now on. All that its own logs held is folded here."""
        ...

    def tasks_yielded(self, tasks: set[int]) -> None:
        """These tasks are about to go to another replica; what is finished may still be committed."""
        ...

    def tasks_ended(self, tasks: set[int]) -> None:
        """These tasks are not led any more."""
        ...


class Tasks:
    """Follows the group's assignments. All methods run on the processor's thread."""

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        logs: Sequence[str],
        partitions: int,
        *,
        consumer: Consumer,
        follower: Follower,
        watches: Sequence[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``topics`` are the inputs, ``logs`` the own logs, ``watches`` topics that are followed beside these."""
        self._settings, self._topics, self._logs, self._count = settings, topics, logs, partitions
        self._watches, self._consumer, self._follower = watches, consumer, follower
        self._monotonic = monotonic
        self._listener: TaskListener  # from join on: before that no task is assigned
        self._assigned: dict[int, set[str]] = {}
        self._targets: dict[int, dict[Partition, int]] = {}
        self._first_targets: dict[Partition, int] | None = None
        self._paused = False
        self._joined_at = 0.0
        self._stuck_since: float | None = None
        self._seen_assignment = False
        self.led: set[int] = set()
        self.touched: set[int] = set()
        """Partitions that came or went since this was last cleared."""
        self.ready = False

    def join(self, listener: TaskListener) -> None:
        """Follow the own logs, and enter the group. ``listener`` is called when tasks begin and end."""
        self._listener = listener
        names = (*self._logs, *self._watches)
        self._follower.follow([Partition(name, i) for name in names for i in range(self._count)])
        self._joined_at = self._monotonic()
        self.enter_group()

    def enter_group(self) -> None:
        """Become a member of the consumer group, as on :meth:`join`."""
        self._consumer.subscribe(
            [self._settings.topic(t) for t in self._topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def leave_group(self) -> None:
        """Give up all tasks, which other members get, and be no member until :meth:`enter_group`."""
        self._consumer.unsubscribe()

    @property
    def assigned(self) -> set[int]:
        """The tasks whose inputs are all assigned here, led or not."""
        return {i for i in self._assigned if self._complete(i)}

    @property
    def assigned_all(self) -> bool:
        """Whether this replica is assigned every task, so that it may be the only member."""
        return len(self.assigned) == self._count

    def backlog(self) -> dict[Partition, int]:
        """The inputs of all tasks that hold more than the group has decided, each with the offset up to which it has.

        Raises KafkaException.
        """
        found = {}
        for partition, offset in self._committed(list(range(self._count))).items():
            upto = max(offset, 0)
            if self._follower.end(partition) > upto:
                found[partition] = upto
        return found

    @property
    def following(self) -> bool:
        """Whether other replicas write what reads here must show at once."""
        return len(self.led) < self._count

    @property
    def catching_up(self) -> bool:
        return not self.ready or any(self._complete(i) and i not in self.led for i in self._assigned)

    def inputs(self, partitions: set[int] | None = None) -> list[TopicPartition]:
        """The input partitions of the tasks led (or of some of them)."""
        some = self.led if partitions is None else self.led & partitions
        return [TopicPartition(self._settings.topic(t), i) for i in sorted(some) for t in self._topics]

    def pause(self, paused: bool) -> None:
        """Stop or restart the flow of input, staying in the group."""
        if paused != self._paused:
            self._paused = paused
            if self.led:
                (self._consumer.pause if paused else self._consumer.resume)(self.inputs())

    def advance(self) -> None:
        """Take the next steps of the takeovers that are under way. Cheap if there are none."""
        try:
            self._watch_readiness()
            waiting = [i for i in self._assigned if i not in self.led and self._complete(i)]
            if waiting:
                self._aim([i for i in waiting if i not in self._targets])
                for i in waiting:
                    if i in self._targets and self._reached(self._targets[i]):
                        self._lead(i)
        except KafkaException as exception:
            error = exception.args[0]
            if not comes_too_early(error):
                raise
            self._stuck(error)
        else:
            self._stuck_since = None

    def _stuck(self, error: KafkaError) -> None:
        """A takeover may fail for a while. Raises NeedsRestart if it fails longer: a fresh process then tries."""
        log.warning("taking over tasks: %s", error.str())
        self._stuck_since = self._stuck_since or self._monotonic()
        if self._monotonic() - self._stuck_since > PATIENCE:
            raise NeedsRestart(f"tasks cannot be taken over for {PATIENCE:g} s: {error.str()}")

    def _watch_readiness(self) -> None:
        if self.ready:
            return
        if self._first_targets is None:
            parts = [Partition(name, i) for name in self._logs for i in range(self._count)]
            self._first_targets = self._ends(parts)
        waited = self._seen_assignment or self._monotonic() - self._joined_at > 5.0
        settled = all(i in self.led for i in self._assigned)
        self.ready = waited and settled and self._reached(self._first_targets)

    def _ends(self, logs: list[Partition]) -> dict[Partition, int]:
        return {part: self._follower.end(part) for part in logs}

    def _reached(self, targets: dict[Partition, int]) -> bool:
        positions = self._follower.positions()
        return all(
            part.number in self.led or (part in positions and positions[part] >= target)
            for part, target in targets.items()
        )

    def _complete(self, i: int) -> bool:
        return self._assigned.get(i, set()) == set(self._topics)

    def _aim(self, partitions: list[int]) -> None:
        """Steps 1 and 2 of a takeover. The client's OffsetFetch requires stable offsets under read_committed."""
        if not partitions:
            return
        if self._listener.tasks_found(self._committed(partitions)):
            for i in partitions:
                self._targets[i] = self._ends([Partition(name, i) for name in self._logs])

    def _committed(self, partitions: list[int]) -> dict[Partition, int]:
        """What the group has committed for the inputs of these tasks (negative: never). Raises KafkaException."""
        inputs = [TopicPartition(self._settings.topic(t), i) for i in partitions for t in self._topics]
        committed, prefix = committed_of(self._consumer, inputs, 1.0), self._settings.topic_prefix
        return {Partition(tp.topic.removeprefix(prefix), tp.partition): tp.offset for tp in committed}

    def _lead(self, i: int) -> None:
        self.led.add(i)
        try:
            if not self._paused:
                self._consumer.resume(self.inputs({i}))
            self._listener.task_led(i)
        except KafkaException:
            self._consumer.pause(self.inputs({i}))
            self.led.discard(i)
            raise
        self._follower.leave([Partition(name, i) for name in self._logs])
        del self._targets[i]
        log.info("leads task %d; now %s", i, sorted(self.led))

    def lead_again(self) -> None:
        """Give up all tasks and take them over anew: it is not known whether the last transaction committed."""
        gone = set(self.led)
        if not gone:
            return
        self._consumer.pause(self.inputs())
        self.touched |= gone
        self.led.clear()
        self._listener.tasks_ended(gone)
        self._follower.follow([Partition(name, i) for name in self._logs for i in gone])

    def _on_assign(self, _: Consumer, parts: list[TopicPartition]) -> None:
        self._seen_assignment = True
        self._consumer.incremental_assign(parts)
        self._consumer.pause(parts)
        for tp in parts:
            self.touched.add(tp.partition)
            self._assigned.setdefault(tp.partition, set()).add(
                tp.topic.removeprefix(self._settings.topic_prefix)
            )

    def _on_revoke(self, _: Consumer, parts: list[TopicPartition]) -> None:
        self._listener.tasks_yielded({tp.partition for tp in parts} & self.led)
        self._release(parts)
        self._consumer.incremental_unassign(parts)

    def _on_lost(self, _: Consumer, parts: list[TopicPartition]) -> None:
        log.warning("lost %s: another replica may lead them already", sorted({tp.partition for tp in parts}))
        self._release(parts)
        self._consumer.incremental_unassign(parts)

    def _release(self, parts: list[TopicPartition]) -> None:
        gone = {tp.partition for tp in parts}
        for tp in parts:
            self._assigned.get(tp.partition, set()).discard(
                tp.topic.removeprefix(self._settings.topic_prefix)
            )
        halves = [i for i in gone & self.led if self._assigned.get(i)]
        if halves:
            # A task that lost one of its inputs ends; the inputs it keeps wait until it is whole again.
            kept = [TopicPartition(self._settings.topic(t), i) for i in halves for t in self._assigned[i]]
            self._consumer.pause(kept)
        self.touched |= gone
        if gone & self.led:
            log.info("no longer leads %s", sorted(gone & self.led))
        self.led -= gone
        self._listener.tasks_ended(gone)
        for i in gone:
            self._targets.pop(i, None)
            if not self._assigned.get(i):
                self._assigned.pop(i, None)
        self._follower.follow([Partition(name, i) for name in self._logs for i in gone])
