"""Reading and writing topics as any other program could."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from eventbus.codec import Codec
from eventbus.kafka.records import partition_of, raw_of
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Headers, Raw
from tests.e2e.waiting import until

M = TypeVar("M", bound=Message)
Ends = Mapping[int, int]
"""Partition to the offset that the next record there will have."""
TIMEOUT = 20.0
NO_HEADERS: Headers = []


class TopicClient:
    """The topics of one cluster. Reads are read_committed; the caller gives where they start."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.codec = Codec("schemas")
        common: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,
        }
        self._consumer = Consumer(
            {
                **common,
                "group.id": "e2e-tests",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 20,
            }
        )
        self._admin = AdminClient(common)
        self._producer = Producer({**common, "acks": "all"})
        self._counts: dict[str, int] = {}

    def close(self) -> None:
        self._consumer.close()

    def partitions(self, topic: str) -> int:
        if topic not in self._counts:
            self._counts[topic] = len(
                self._consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions
            )
        return self._counts[topic]

    def ends(self, topic: str) -> dict[int, int]:
        """Where each partition ends now."""
        return {
            p: self._consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT)[1]
            for p in range(self.partitions(topic))
        }

    def starts(self, topic: str) -> dict[int, int]:
        """The beginning of each partition."""
        return dict.fromkeys(range(self.partitions(topic)), 0)

    def read(self, topic: str, since: Ends | None = None) -> list[Raw]:
        """All records of a topic (from ``since`` on) up to its end, partition by partition in order."""
        starts = since or self.starts(topic)
        self._consumer.assign([TopicPartition(topic, p, offset) for p, offset in starts.items()])
        found, unread = [], set(starts)
        try:
            while unread:
                record = self._consumer.poll(TIMEOUT)
                assert record is not None, f"{topic}: no end of partitions {unread} within {TIMEOUT:g} s"
                if (error := record.error()) is None:
                    found.append(raw_of(record, ""))
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(int(record.partition() or 0))
                elif not error.retriable():
                    raise KafkaException(error)
        finally:
            self._consumer.unassign()
        return sorted(found, key=lambda raw: (raw.partition, raw.offset))

    def at(self, topic: str, partition: int, offset: int) -> Envelope:
        """The record at these coordinates."""
        raws = self.read(topic, {partition: offset})
        assert raws, f"{topic}-{partition} ends before {offset}"
        assert raws[0].offset == offset
        return self.codec.decode(raws[0])

    def about(self, kind: type[M], key: str) -> list[M]:
        """The messages of one type about one key, oldest first."""
        partition = partition_of(key.encode(), self.partitions(kind.topic))
        raws = [raw for raw in self.read(kind.topic, {partition: 0}) if raw.key == key.encode()]
        messages = [self.codec.decode_value(raw.value) for raw in raws if raw.header("ce_type") == kind.name]
        return [message for message in messages if isinstance(message, kind)]

    def await_record(
        self, topic: str, since: Ends, wanted: Callable[[Raw], bool], timeout: float = 60.0
    ) -> Raw:
        """The first record since then that is ``wanted``."""
        return until(
            lambda: next((raw for raw in self.read(topic, since) if wanted(raw)), None),
            timeout,
            f"a certain record in {topic}",
        )

    def members(self, group: str) -> int:
        """How many members a consumer group has."""
        return len(
            self._admin.describe_consumer_groups([group], request_timeout=TIMEOUT)[group].result().members
        )

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = NO_HEADERS,
        partition: int | None = None,
    ) -> str:
        """Write one record, by default to the partition of its key; returns topic-partition-offset."""
        if partition is None:
            partition = partition_of(key or b"", self.partitions(topic))
        placed: list[str] = []

        def delivered(error: KafkaError | None, record: object) -> None:
            if error is None:
                placed.append(f"{topic}-{record.partition()}-{record.offset()}")  # type: ignore[attr-defined]

        self._producer.produce(
            topic, value=value, key=key, partition=partition, headers=list(headers), on_delivery=delivered
        )
        self._producer.flush(TIMEOUT)
        assert placed, f"{topic}: nothing was written"
        return placed[0]

    def send(self, message: Message) -> str:
        """Write a message as another system would, without our headers; returns its coordinates."""
        return self.produce(message.topic, message.key.encode(), self.codec.encode(message))
