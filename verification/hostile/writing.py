"""Puts hostile records into Kafka, and remembers where they stand."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from eventbus.kafka.clients import common
from eventbus.model.places import Position
from eventbus.settings import Settings
from verification.hostile.record import MARK, Hostile
from verification.hostile.wire import NotWritten, produce

TIMEOUT = 120.0
"""Seconds until a record counts as refused: longer than any fault of chaos, so that a refused one did not land."""

LARGEST = 200_000_000


class Writer:
    """``written`` has every record by its place; ``refused`` those that Kafka did not take, with the reason."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producers: dict[str, Producer] = {}
        self.written: dict[Position, Hostile] = {}
        self.refused: list[tuple[Hostile, str]] = []

    def write(self, records: Iterable[Hostile]) -> None:
        """Write them in order, each with the mark; returns once all are durable or refused."""
        for record in records:
            marked = record.having(MARK)
            if all(_is_plain(name) for name, _ in marked.headers):
                self._send(marked)
            else:
                self._flush()
                self._send_as_bytes(marked)
        self._flush()

    def _send(self, record: Hostile) -> None:
        def delivered(error: KafkaError | None, placed: Record) -> None:
            offset = placed.offset()
            if error is None and offset is not None:
                self.written[Position(record.topic, record.partition, offset)] = record
            else:
                self.refused.append((record, str(error)))

        producer = self._producer(record.compression)
        try:
            producer.produce(
                self._settings.topic(record.topic),
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=[(name.decode(), value) for name, value in record.headers],
                on_delivery=delivered,
            )
        except BufferError:
            producer.flush(TIMEOUT)
            self._send(record)
        producer.poll(0)

    def _send_as_bytes(self, record: Hostile) -> None:
        topic = self._settings.topic(record.topic)
        try:
            metadata = self._producer("none").list_topics(topic, TIMEOUT)
            leader = metadata.brokers[metadata.topics[topic].partitions[record.partition].leader]
            offset = produce((leader.host, leader.port), topic, record)
        except (KafkaException, KeyError, NotWritten) as error:
            self.refused.append((record, str(error)))
        else:
            self.written[Position(record.topic, record.partition, offset)] = record

    def _producer(self, compression: str) -> Producer:
        if compression not in self._producers:
            self._producers[compression] = Producer(
                {
                    **common(self._settings),
                    "enable.idempotence": True,  # a repeat after a broker's death must not stand at a second place
                    "compression.type": compression,
                    "log_level": 0,
                    "message.max.bytes": LARGEST,
                    "message.timeout.ms": int(TIMEOUT * 1000),
                    "queue.buffering.max.kbytes": 1_000_000,
                }
            )
        return self._producers[compression]

    def _flush(self) -> None:
        for producer in self._producers.values():
            producer.flush(TIMEOUT)


def _is_plain(name: bytes) -> bool:
    """Whether a client library writes this header name as it is."""
    try:
        return "\0" not in name.decode()
    except UnicodeDecodeError:
        return False
