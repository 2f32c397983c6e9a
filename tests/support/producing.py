"""Large batches that compress to almost nothing. confluent-kafka makes them only with special settings."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as Record

from eventbus.model.places import Position
from tests.support.topic_client import TopicClient


def write_compressed(
    topics: TopicClient, topic: str, partition: int, values: Sequence[bytes], codec: str = "zstd"
) -> Position:
    """Write large values as one compressed batch; returns where the first stands."""
    producer = Producer(
        {
            "bootstrap.servers": topics.settings.bootstrap_servers,
            "compression.type": codec,
            "message.max.bytes": 1_000_000_000,
            "batch.size": 1_000_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "linger.ms": 10_000,
        }
    )
    placed: list[int] = []

    def delivered(error: KafkaError | None, record: Record) -> None:
        offset = record.offset()
        assert error is None and offset is not None, error
        placed.append(offset)

    for value in values:
        producer.produce(
            topics.settings.topic(topic), value=value, key=b"big", partition=partition, on_delivery=delivered
        )
    producer.flush(60)
    return Position(topic, partition, min(placed))
