"""What the command line asks Kafka: which services there are, what their topics say; and how it sends commands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from eventbus.admin import Discard, Redrive
from eventbus.cli.ending import CommandError, Exit
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.clients import command_producer, common, probe_consumer
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import after_unreadable, partition_of, raw_of, unreadable
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.settings import Settings

Part = tuple[str, int]
TIMEOUT = 5.0


class TopicReader:
    """A cluster's retry, dead letter and admin topics. Every method raises Trouble if Kafka is away."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        # What the client has to say about brokers out of reach, the sentence at the end says better.
        logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
        self._settings, self._codec, self.where = settings, codec, settings.bootstrap_servers
        self._stable = probe_consumer(settings, "dlq.probe", "read_committed")
        self._uncommitted = probe_consumer(settings, "dlq.probe", "read_uncommitted")
        self._groups: dict[str, Consumer] = {}
        self._producer: Producer | None = None
        self._next: dict[Part, int] = {}
        self.services = self._services()
        """By name, the number of partitions of its topics."""
        self._consumer = Consumer(
            {
                **common(settings),
                "group.id": settings.topic("dlq.reader"),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )

    def _services(self) -> dict[str, int]:
        try:
            topics = self._stable.list_topics(timeout=TIMEOUT).topics
        except KafkaException as exception:
            raise self._away(exception) from exception
        prefix, found = self._settings.topic_prefix, {}
        for name, topic in topics.items():
            service = name.removeprefix(prefix).removesuffix(".retry")
            beside = [f"{prefix}{service}.{kind}" for kind in ("retry", "dlq", "admin")]
            # A dot would be the prefix of somebody else's environment.
            if beside[0] == name and "." not in service and all(b in topics for b in beside):
                found[service] = len(topic.partitions)
        return found

    def read(self, parts: Iterable[Part], take: Callable[[Raw], None]) -> None:
        """Hand on every committed record of these partitions that was not handed on yet, up to their ends."""
        ends = {part: end for part in parts if (end := self._end(part)) > self._next[part]}
        if not ends:
            return
        self._consumer.assign([self._named(part, self._next[part]) for part in ends])
        moved = time.monotonic()
        while any(self._next[part] < end for part, end in ends.items()):
            records = self._consumer.consume(1000, 0.05)
            if records:
                moved = time.monotonic()
            elif time.monotonic() - moved > 2 * TIMEOUT:
                raise CommandError(
                    Exit.AWAY, f"Kafka at {self._settings.bootstrap_servers} stopped answering."
                )
            for record in records:
                self._take(record, take)

    def _take(self, record: Record, take: Callable[[Raw], None]) -> None:
        error, topic, partition, offset = record.error(), record.topic(), record.partition(), record.offset()
        if error is not None and error.code() != KafkaError._PARTITION_EOF and not is_unreadable(error):
            if passes(error):
                return
            raise self._away(KafkaException(error))
        assert topic is not None and partition is not None and offset is not None
        part = (topic.removeprefix(self._settings.topic_prefix), partition)
        if error is None:
            take(raw_of(record, self._settings.topic_prefix))
            offset += 1
        elif is_unreadable(error) and offset >= self._next[part]:
            offset = after_unreadable(self._uncommitted, topic, partition, offset)
            self._consumer.seek(self._named(part, offset))
        self._next[part] = max(self._next[part], offset)

    def _end(self, part: Part) -> int:
        """Where the committed part of a partition ends; the first time, reading begins where it begins."""
        low, high = self._watermarks(self._stable, part)
        self._next.setdefault(part, low)
        return high

    def _watermarks(self, consumer: Consumer, part: Part) -> tuple[int, int]:
        try:
            marks = consumer.get_watermark_offsets(self._named(part), timeout=TIMEOUT)
        except KafkaException as exception:
            raise self._away(exception) from exception
        if marks is None:
            raise self._away(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        return marks

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 if there is no such topic."""
        try:
            found = self._stable.list_topics(self._settings.topic(topic), timeout=TIMEOUT).topics
        except KafkaException as exception:
            raise self._away(exception) from exception
        known = found.get(self._settings.topic(topic))
        return len(known.partitions) if known and known.error is None else 0

    def record(self, place: Position) -> Raw | None:
        """The record at a place, committed or not; None where none stands: a marker, or it was compacted away.

        Raises Trouble for a place before the beginning or behind the end.
        """
        part = (place.topic, place.partition)
        low, high = self._watermarks(self._uncommitted, part)
        if not low <= place.offset < high:
            raise CommandError(
                Exit.USAGE,
                f"{place.topic} has in partition {place.partition} the offsets from {low} up to {high - 1}.",
            )
        self._uncommitted.assign([self._named(part, place.offset)])
        deadline = time.monotonic() + TIMEOUT
        try:
            while time.monotonic() < deadline:
                record = self._uncommitted.poll(0.2)
                if record is None:
                    continue
                error = record.error()
                if error is not None and is_unreadable(error):
                    return unreadable(*place, error)
                if error is None:
                    raw = raw_of(record, self._settings.topic_prefix)
                    return raw if raw.offset == place.offset else None
            return None
        finally:
            self._uncommitted.unassign()

    def parts(self, service: str, *kinds: str) -> list[Part]:
        """The partitions of ``<service>.<kind>``."""
        return [(f"{service}.{kind}", i) for kind in kinds for i in range(self.services[service])]

    def written(self, part: Part) -> int:
        """The end of a partition, records of open transactions included."""
        return self._watermarks(self._uncommitted, part)[1]

    def position(self, part: Part) -> int:
        """Up to where a partition has been read."""
        return self._next.get(part, 0)

    def committed(self, service: str, parts: Iterable[Part]) -> dict[Part, int]:
        """Up to where a service has decided partitions it takes as input."""
        group = self._groups.get(service) or probe_consumer(self._settings, service, "read_committed")
        self._groups[service] = group
        try:
            found = group.committed([self._named(part) for part in parts], timeout=TIMEOUT)
        except KafkaException as exception:
            raise self._away(exception) from exception
        return {(tp.topic.removeprefix(self._settings.topic_prefix), tp.partition): tp.offset for tp in found}

    def partition(self, service: str, key: str) -> int:
        """Where a service keeps a key."""
        return partition_of(key.encode(), self.services[service])

    def send(self, service: str, wish: Redrive | Discard) -> Position:
        """Tell a service what to do; returns once that is durable."""
        now = time.time_ns() // 1_000_000
        wish = wish.stamp(now)  # type: ignore[assignment]
        topic, partition = f"{service}.admin", self.partition(service, wish.key)
        envelope = Envelope.from_outside(wish, topic, partition, time=now, source="/eventbus/dlq")
        value, headers = self._codec.encode(wish), headers_of(envelope)
        return self.write(topic, partition, wish.key.encode(), value, headers)

    def write(
        self, topic: str, partition: int, key: bytes, value: bytes | None, headers: Headers
    ) -> Position:
        """Write one record; returns where it stands once it is durable."""
        self._producer = self._producer or command_producer(self._settings)
        placed: list[int] = []
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, record: Record) -> None:
            offset = record.offset()
            if error is None and offset is not None:
                placed.append(offset)
            else:
                failed.append(error or KafkaError(KafkaError._FAIL))

        self._producer.produce(
            self._settings.topic(topic),
            value=value,
            key=key,
            partition=partition,
            headers=list(headers),
            on_delivery=delivered,
        )
        while not placed and not failed:
            self._producer.poll(0.1)
        if failed:
            raise self._away(KafkaException(failed[0]))
        return Position(topic, partition, placed[0])

    def _named(self, part: Part, offset: int = -1) -> TopicPartition:
        return TopicPartition(self._settings.topic(part[0]), part[1], offset)

    def _away(self, exception: KafkaException) -> CommandError:
        said = exception.args[0].str()
        return CommandError(
            Exit.AWAY, f"Kafka does not answer at {self._settings.bootstrap_servers} ({said})."
        )

    def close(self) -> None:
        """Let go of Kafka."""
        for consumer in (self._consumer, self._stable, self._uncommitted, *self._groups.values()):
            consumer.close()
