"""The topics of one environment, as a search reads them. Its consumers are in no group and commit nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from eventbus.causes.links import LETTERS, RETRY
from eventbus.causes.reading import Range, Reading, away
from eventbus.causes.source import Exhausted, Take
from eventbus.causes.spans import Span
from eventbus.kafka.clients import common, probe_consumer
from eventbus.kafka.errors import passes
from eventbus.model.places import LARGEST, Partition, Position
from eventbus.model.record import Raw
from eventbus.settings import Settings

T = TypeVar("T")
ANSWER = 2.0
"""Seconds a broker has for one answer."""
BEGIN, END = -2, -1
"""Asked for as a time, they mean where a partition begins and ends (ListOffsets, KIP-79)."""


def own_topics(partitions: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The topics under a prefix, named without it, and how many partitions each has.

    Topics of other environments are left out: those whose names begin with another prefix, ``test.`` say. Such a
    prefix shows in the names of their services' topics: ``test.order.retry`` beside ``test.order.dlq``.
    """
    own = {name.removeprefix(prefix): count for name, count in partitions.items() if name.startswith(prefix)}
    services = [
        name
        for topic in own
        if topic.endswith(RETRY) and f"{(name := topic.removesuffix(RETRY))}{LETTERS}" in own
    ]
    others = tuple({f"{name.rpartition('.')[0]}." for name in services if "." in name})
    return {
        topic: count
        for topic, count in own.items()
        if not topic.startswith("__") and not (others and topic.startswith(others))
    }


class TopicSource:
    """A :class:`~eventbus.causes.source.Source` on Kafka. Not for use by several threads; close it."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        """``seconds``: the time limit, from now on."""
        self._settings, self._seconds = settings, seconds
        self._deadline = time.monotonic() + seconds
        self._consumer = Consumer(
            {
                **common(settings),
                "group.id": settings.topic("causes"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
                # A little is read of many partitions: what is fetched ahead is thrown away.
                "fetch.message.max.bytes": 65_536,
                "queued.max.messages.kbytes": 8_192,
                "metadata.max.age.ms": 1000,
            }
        )
        self._groups: dict[str, Consumer] = {}
        self._reading = Reading(settings, self._consumer, self.left)
        self._topics: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for consumer in (self._consumer, *self._groups.values()):
            consumer.close()

    def topics(self) -> Mapping[str, int]:
        if not self._topics:
            found = self._ask(lambda timeout: self._consumer.list_topics(timeout=timeout)).topics
            counts = {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}
            self._topics = own_topics(counts, self._settings.topic_prefix)
        return self._topics

    def decided(self, service: str, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        group = self._groups.get(service) or probe_consumer(self._settings, service, "read_committed")
        self._groups[service] = group
        asked = [self._named(partition) for partition in partitions]
        found = self._ask(lambda timeout: group.committed(asked, timeout))
        return {self._partition(tp): tp.offset for tp in found if tp.error is None and tp.offset >= 0}

    def read(self, spans: Mapping[Partition, Span], take: Take, only: bytes | None = None) -> None:
        starts = self._offsets({partition: span.since for partition, span in spans.items()})
        ends = self._offsets(dict.fromkeys((p for p, start in starts.items() if start >= 0), END))
        self._reading.run({p: Range(starts[p], end, spans[p].until) for p, end in ends.items()}, take, only)

    def read_from(self, offsets: Mapping[Partition, int], take: Take, only: bytes | None = None) -> None:
        ends = self._offsets(dict.fromkeys(offsets, END))
        self._reading.run({p: Range(offsets[p], end, LARGEST) for p, end in ends.items()}, take, only)

    def at(self, positions: Collection[Position]) -> Mapping[Position, Raw]:
        topics, found = self.topics(), dict[Position, Raw]()
        left = {p for p in positions if p.partition < topics.get(p.topic, 0) and p.offset < LARGEST}
        while left:
            # one of each partition at a time
            asked = {Partition(*position[:2]): position for position in left}
            left -= set(asked.values())
            begins, ends = (self._offsets(dict.fromkeys(asked, mark)) for mark in (BEGIN, END))
            ranges = {
                partition: Range(position.offset, position.offset + 1, LARGEST)
                for partition, position in asked.items()
                if begins[partition] <= position.offset < ends[partition]
            }
            self._reading.run(ranges, lambda raw: found.update({raw.position: raw}))
        return found

    def _offsets(self, times: Mapping[Partition, int]) -> dict[Partition, int]:
        """By partition, the first offset of a time (ms since epoch) or later; -1 for none."""
        if not times:
            return {}
        asked = [self._named(partition, moment) for partition, moment in times.items()]
        found = self._ask(lambda timeout: self._consumer.offsets_for_times(asked, timeout))
        if failed := next((tp.error for tp in found if tp.error is not None), None):
            raise away(self._settings, failed.str())
        return {self._partition(tp): tp.offset for tp in found}

    def _ask(self, question: Callable[[float], T]) -> T:
        """The answer of the brokers, asked again while they do not know it yet. Raises Unavailable or Exhausted."""
        until = time.monotonic() + ANSWER
        while True:
            try:
                return question(max(min(self.left(), until - time.monotonic()), 0.1))
            except KafkaException as exception:
                if not passes(exception.args[0]) or time.monotonic() > until:
                    raise away(self._settings, exception.args[0].str()) from exception
                time.sleep(0.02)

    def left(self) -> float:
        """Seconds up to the time limit. Raises Exhausted after it."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Exhausted(f"the time limit of {self._seconds:g} s was reached")
        return left

    def _named(self, partition: Partition, offset: int = END) -> TopicPartition:
        return TopicPartition(self._settings.topic(partition.topic), partition.number, offset)

    def _partition(self, tp: TopicPartition) -> Partition:
        return Partition(tp.topic.removeprefix(self._settings.topic_prefix), tp.partition)
