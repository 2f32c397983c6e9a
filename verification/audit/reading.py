"""Reads the topics from Kafka up to one cut of offsets.

The cut, in this order: (1) what the gateway has on record, (2) up to where each group has decided its input, its
committed offsets taken as stable, (3) the ends of the retry topics, which are then read, (4) the ends of all others,
which are read then. Ends include uncommitted records, reading does not. Outputs are committed together with the
offsets of their input, or with the record that a parked message is resolved; so all that follows from what is decided
by (2) and (3) stands before the ends taken at (4).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka import Message as Record
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from eventbus import Settings
from eventbus.kafka.clients import common, probe_consumer
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import after_unreadable, raw_of, unreadable
from eventbus.model.record import Raw
from eventbus.processing import skips
from verification.audit.ledger import ABSENT, LISTENERS, TOPICS, Frontier

Part = tuple[str, int]
Cut = Mapping[Part, int]
TIMEOUT = 10.0
STALLED = 30.0
BATCH = 1000


class KafkaAway(Exception):
    """Kafka or a topic cannot be read; the message says which and what to do."""


class AuditReader:
    """All partitions of all topics, read in step with a cut. Not for use by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(common(settings))
        self.counts = self._count()
        self._parts = [(topic, i) for topic, count in self.counts.items() for i in range(count)]
        self._groups = {
            group: probe_consumer(settings, group, "read_committed")
            for group in sorted({group for groups in LISTENERS.values() for group in groups})
        }
        self._at: dict[Part, int] = dict.fromkeys(self._parts, 0)
        self._passed: dict[Part, int] = dict.fromkeys(self._parts, 0)
        self._ahead: dict[Part, deque[Raw]] = {part: deque() for part in self._parts}
        self._probe = probe_consumer(settings, "audit.probe", "read_uncommitted")
        self._consumer = self._begin()

    def _count(self) -> dict[str, int]:
        try:
            found = self._admin.list_topics(timeout=TIMEOUT).topics
        except KafkaException as error:
            raise KafkaAway(
                f"Kafka at {self._settings.bootstrap_servers} does not answer ({error.args[0].str()}): "
                "start the system with `make up`, or name its broker with EVENTBUS_BOOTSTRAP_SERVERS."
            ) from error
        missing = [t for t in TOPICS if t not in ABSENT and self._settings.topic(t) not in found]
        if missing:
            raise KafkaAway(
                f"Kafka at {self._settings.bootstrap_servers} has no topic {self._settings.topic(missing[0])}: start "
                "the system with `make up`, or name its prefix with EVENTBUS_TOPIC_PREFIX."
            )
        # a system that an older version made, and that was not started since, has no topic of skips
        there = [t for t in (*TOPICS, skips.TOPIC) if self._settings.topic(t) in found]
        return {topic: len(found[self._settings.topic(topic)].partitions) for topic in there}

    def _begin(self) -> Consumer:
        consumer = Consumer(
            {
                **common(self._settings),
                "group.id": self._settings.topic("audit"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 1000,
                "queued.max.messages.kbytes": 8192,
            }
        )
        consumer.assign([self._named(part, OFFSET_BEGINNING) for part in self._parts])
        consumer.pause([self._named(part) for part in self._parts])
        return consumer

    def _named(self, part: Part, offset: int | None = None) -> TopicPartition:
        topic = self._settings.topic(part[0])
        return TopicPartition(topic, part[1]) if offset is None else TopicPartition(topic, part[1], offset)

    def frontier(self) -> Frontier:
        """Up to where each group has decided, committed offsets only. Raises KafkaAway."""
        decided: dict[tuple[str, str, int], int] = {}
        for group, consumer in self._groups.items():
            parts = [p for p in self._parts if group in LISTENERS.get(p[0], ())]
            for part, committed in zip(parts, self._committed(group, consumer, parts), strict=True):
                decided[group, *part] = max(committed.offset, 0)
        return decided

    def _committed(self, group: str, consumer: Consumer, parts: Sequence[Part]) -> list[TopicPartition]:
        """What a group has committed; asked again for a while where its coordinator has just moved."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                offsets = consumer.committed([self._named(p) for p in parts], timeout=TIMEOUT)
                error = next((tp.error for tp in offsets if tp.error is not None), None)
            except KafkaException as exception:
                error = exception.args[0]
            if error is None:
                return offsets
            if not passes(error) or time.monotonic() > deadline:
                raise KafkaAway(f"The offsets of group {group} cannot be read: {error.str()}")
            time.sleep(0.1)

    def ends(self, topics: Collection[str]) -> Cut:
        """The offset after the last record of every partition of these topics, committed or not. Raises KafkaAway."""
        parts = [part for part in self._parts if part[0] in topics]
        asked = self._admin.list_offsets(
            {self._named(part): OffsetSpec.latest() for part in parts},  # type: ignore[no-untyped-call]
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=TIMEOUT,
        )
        try:
            ends = {(tp.topic, tp.partition): int(future.result().offset) for tp, future in asked.items()}
        except KafkaException as error:
            raise KafkaAway(f"The ends of the topics cannot be read: {error.args[0].str()}") from error
        return {part: ends[self._settings.topic(part[0]), part[1]] for part in parts}

    def read(self, cut: Cut, take: Callable[[Raw], None]) -> None:
        """Hand on every record before the cut that was not handed on yet. Raises KafkaAway if that stalls."""
        left = {part for part in cut if not self._pass_on(part, cut[part], take)}
        if left:
            self._consumer.resume([self._named(part) for part in left])
        moved = time.monotonic()
        while left:
            records = self._consumer.consume(BATCH, 0.05)
            if records:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALLED:
                topic, partition = sorted(left)[0]
                raise KafkaAway(
                    f"{topic}-{partition} gives nothing after offset {self._at[topic, partition]}, though it goes on "
                    f"to {cut[topic, partition]}: does a transaction hang?"
                )
            arrived = [part for record in records if (part := self._store(record))]
            reached = {part for part in set(arrived) & left if self._pass_on(part, cut[part], take)}
            if reached:
                self._consumer.pause([self._named(part) for part in reached])
                left -= reached

    def _store(self, record: Record) -> Part | None:
        """Keep a record until its cut; returns the partition that moved on, if one did."""
        error = record.error()
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        if error is None:
            raw = raw_of(record, self._settings.topic_prefix)
            self._ahead[raw.topic, raw.partition].append(raw)
            return raw.topic, raw.partition
        if is_unreadable(error):
            return self._pass_unreadable(record, error)
        if error.code() == KafkaError._PARTITION_EOF:
            assert topic is not None and partition is not None and offset is not None
            part = (topic.removeprefix(self._settings.topic_prefix), partition)
            self._passed[part] = offset
            return part
        if not (error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)):
            raise KafkaAway(f"Reading the topics failed: {error.str()}")
        return None

    def _pass_unreadable(self, record: Record, error: KafkaError) -> Part | None:
        """Note a batch that cannot be decoded, and continue behind it. Raises KafkaAway."""
        name, partition, offset = record.topic(), record.partition(), record.offset()
        assert name is not None and partition is not None and offset is not None
        part = (name.removeprefix(self._settings.topic_prefix), partition)
        if offset < self._passed[part]:
            return None  # reported once more, before the seek took effect
        try:
            self._passed[part] = after_unreadable(self._probe, name, partition, offset)
            self._consumer.seek(self._named(part, self._passed[part]))
        except KafkaException as exception:
            raise KafkaAway(f"{name}-{partition} cannot be read: {exception.args[0].str()}") from exception
        self._ahead[part].append(unreadable(*part, offset, error))
        return part

    def _pass_on(self, part: Part, end: int, take: Callable[[Raw], None]) -> bool:
        """Hand on the kept records of a partition, up to ``end``; returns whether that is reached."""
        queue = self._ahead[part]
        while queue and queue[0].offset < end:
            raw = queue.popleft()
            self._at[part] = raw.offset + 1
            take(raw)
        if not queue:
            # the reported end of a partition is beyond its last record: transaction markers take offsets too
            self._at[part] = max(self._at[part], self._passed[part])
        return bool(queue) or self._at[part] >= end

    def close(self) -> None:
        """Close all consumers."""
        for consumer in (self._consumer, self._probe, *self._groups.values()):
            consumer.close()
