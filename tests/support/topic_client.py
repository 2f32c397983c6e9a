"""The topics as a test sees them: read all of one, write what a foreign system might write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import ConsumerGroupTopicPartitions as GroupOffsets
from confluent_kafka import Message as Record
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.errors import passes
from eventbus.kafka.records import partition_of, raw_of
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.settings import Settings
from tests.support.waiting import eventually

TIMEOUT = 10.0


class TopicClient:
    """One test's topics, named without their prefix. Reads committed records only, and remembers them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.codec = settings, Codec("schemas")
        common: dict[str, str | int | float | bool] = {
            "bootstrap.servers": settings.bootstrap_servers,
            "log_level": 2,
            # What a broker that has just come back says of its leaders must not be believed for long.
            "metadata.max.age.ms": 1000,
        }
        self.admin = AdminClient(common)
        self._producer = Producer({**common, "enable.idempotence": True, "linger.ms": 2})
        self._consumer = Consumer(
            {
                **common,
                "group.id": f"{settings.topic_prefix}reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 20,
            }
        )
        # Asked on connections of their own: on the reader's they would wait for a fetch to come back.
        self._stable = Consumer({**common, "group.id": "ends", "isolation.level": "read_committed"})
        self._uncommitted = Consumer({**common, "group.id": "ends", "isolation.level": "read_uncommitted"})
        self._records: dict[str, list[Raw]] = {}
        self._messages: dict[str, list[Message]] = {}
        self._next: dict[tuple[str, int], int] = {}

    def close(self) -> None:
        self._producer.flush(TIMEOUT)
        self._consumer.close()
        self._stable.close()
        self._uncommitted.close()

    # Reading

    def read(self, topic: str) -> list[Raw]:
        """Every committed record of the topic so far, in the order of each partition."""
        records = self._records.setdefault(topic, [])
        behind = {i: end for i, end in enumerate(self._ends(self._stable, topic)) if end > self._at(topic, i)}
        if not behind:
            return list(records)
        name = self.settings.topic(topic)
        self._consumer.assign([TopicPartition(name, i, self._at(topic, i)) for i in behind])
        deadline = time.monotonic() + TIMEOUT
        while any(self._at(topic, i) < end for i, end in behind.items()):
            assert time.monotonic() < deadline, f"{topic} cannot be read up to {behind}"
            for record in self._consumer.consume(500, 0.05):
                self._take(topic, record, records)
        return list(records)

    def _take(self, topic: str, record: Record, records: list[Raw]) -> None:
        error, partition, offset = record.error(), record.partition(), record.offset()
        assert partition is not None and offset is not None
        if error is None:
            records.append(raw_of(record, self.settings.topic_prefix))
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        self._next[topic, partition] = offset + (error is None)

    def _at(self, topic: str, partition: int) -> int:
        return self._next.get((topic, partition), 0)

    def messages(self, topic: str) -> list[Message]:
        """Every message of the topic so far. Each record is decoded once, however often a wait asks."""
        found, records = self._messages.setdefault(topic, []), self.read(topic)
        found += [self.codec.decode_value(raw.value) for raw in records[len(found) :]]
        return list(found)

    def envelopes(self, topic: str) -> list[Envelope]:
        """Every message of the topic so far, with what its headers say."""
        return [self.codec.decode(raw) for raw in self.read(topic)]

    def ends(self, *topics: str) -> dict[str, list[int]]:
        """The ends of all partitions, transaction markers and uncommitted records included."""
        return {topic: self._ends(self._uncommitted, topic) for topic in topics}

    def is_stable(self, topic: str) -> bool:
        """Whether no transaction is open in the topic."""
        return self._ends(self._stable, topic) == self._ends(self._uncommitted, topic)

    def _ends(self, consumer: Consumer, topic: str) -> list[int]:
        ends = []
        for i in range(self.settings.partitions):
            tp = TopicPartition(self.settings.topic(topic), i)
            marks: Any = eventually(partial(watermarks, consumer, tp), f"{topic}-{i} says its end", TIMEOUT)
            ends.append(marks[1])
        return ends

    # Writing

    def partition(self, key: str) -> int:
        """The partition a key belongs to."""
        return partition_of(key.encode(), self.settings.partitions)

    def send(self, *messages: Message) -> list[Position]:
        """Write messages as a foreign producer would; returns where they stand, in the same order."""
        placed: dict[int, Position] = {}
        for index, message in enumerate(messages):
            self._send(message, index, placed)
        assert self._producer.flush(TIMEOUT) == 0, "not all messages became durable"
        return [placed[index] for index in range(len(messages))]

    def _send(self, message: Message, index: int, placed: dict[int, Position]) -> None:
        now = time.time_ns() // 1_000_000
        message = message.stamp(now)
        partition = self.partition(message.key)
        envelope = Envelope.from_outside(message, message.topic, partition, time=now, source="/test")

        def delivered(error: KafkaError | None, record: Record) -> None:
            offset = record.offset()
            if error is None and offset is not None:
                placed[index] = Position(message.topic, partition, offset)

        self._producer.produce(
            self.settings.topic(message.topic),
            value=self.codec.encode(message),
            key=message.key.encode(),
            partition=partition,
            headers=list(headers_of(envelope)),
            on_delivery=delivered,
        )

    def send_bytes(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Position:
        """Write one record exactly as given; returns where it stands."""
        placed: list[int] = []

        def delivered(error: KafkaError | None, record: Record) -> None:
            offset = record.offset()
            assert error is None and offset is not None, error
            placed.append(offset)

        self._producer.produce(
            self.settings.topic(topic),
            value=value,
            key=key,
            partition=partition,
            headers=list(headers),
            on_delivery=delivered,
        )
        self._producer.flush(TIMEOUT)
        return Position(topic, partition, placed[0])

    def configure(self, topic: str, config: dict[str, str]) -> None:
        """Change a topic's configuration."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, self.settings.topic(topic), incremental_configs=entries)
        (future,) = self.admin.incremental_alter_configs([resource], request_timeout=TIMEOUT).values()
        future.result()

    # The groups

    def assignments(self, group: str) -> list[dict[str, set[int]]]:
        """For each member of a group, the partitions it holds, by topic."""
        name = self.settings.topic(group)
        described = self.admin.describe_consumer_groups([name], request_timeout=TIMEOUT)[name].result()
        members = []
        for member in described.members:
            held: dict[str, set[int]] = {}
            for tp in member.assignment.topic_partitions if member.assignment else []:
                held.setdefault(tp.topic.removeprefix(self.settings.topic_prefix), set()).add(tp.partition)
            members.append(held)
        return members

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """What a group has committed, by topic and partition."""
        wanted = [GroupOffsets(self.settings.topic(group))]
        (future,) = self.admin.list_consumer_group_offsets(wanted, request_timeout=TIMEOUT).values()
        prefix = self.settings.topic_prefix
        return {
            (tp.topic.removeprefix(prefix), tp.partition): tp.offset
            for tp in future.result().topic_partitions
        }

    def rewind(self, group: str) -> dict[tuple[str, int], int]:
        """Set a group that has no member back to offset 0 everywhere; returns where it had been."""
        before = self.committed(group)
        zero = [TopicPartition(self.settings.topic(t), i, 0) for t, i in before]
        wanted = [GroupOffsets(self.settings.topic(group), zero)]
        (future,) = self.admin.alter_consumer_group_offsets(wanted, request_timeout=TIMEOUT).values()
        for tp in future.result().topic_partitions:
            assert tp.error is None, tp.error
        return before


def by_key(messages: Sequence[Message]) -> dict[str, list[str]]:
    """The names of messages by their key, in order."""
    ordered = sorted(messages, key=lambda m: m.key)
    return {key: [m.name for m in group] for key, group in groupby(ordered, key=lambda m: m.key)}


def watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int] | None:
    """The first offset of a partition and the one after the last; None while brokers do not know who leads it yet."""
    try:
        return consumer.get_watermark_offsets(place, timeout=TIMEOUT)
    except KafkaException as exception:
        if not passes(exception.args[0]):
            raise
        return None
