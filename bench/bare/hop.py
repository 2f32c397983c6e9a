"""``python -m bench.bare.hop``: one exactly-once hop. It reads a topic, decodes, encodes, and writes to another.

The loop takes what has arrived, in one transaction with the offsets, and begins again. It rests at no time.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from bench.bare.clients import as_batch_work, group_consumer, transactional_producer
from bench.bare.record import CREATED, AvroCodec

BATCH = 1000
"""Records of one transaction at most."""

Headers = list[tuple[str, str | bytes | None]]
Work = Callable[[Message], tuple[bytes, Headers]]
"""What a hop makes of a record: a value, and headers."""
Ends = dict[tuple[Any, Any], int]
"""By topic and partition, the offset after the last record that was read."""


def transcode() -> Work:
    """Decode an order and encode it again, with a time of its own."""
    codec = AvroCodec(CREATED)

    def work(record: Message) -> tuple[bytes, Headers]:
        value = record.value()
        assert value is not None
        order = codec.decode(value)
        order["timestamp"] += 1
        return codec.encode(order), []

    return work


def batch_of(consumer: Consumer, wait: float, most: int = BATCH) -> list[Message]:
    """What has arrived, ``most`` records at most; waits ``wait`` s for a first one. Raises KafkaException.

    ``consume(most, wait)`` would wait for a full batch.
    """
    first = consumer.poll(wait)
    if first is None:
        return []
    records = [first, *consumer.consume(most - 1, 0)]
    for record in records:
        if error := record.error():
            raise KafkaException(error)
    return records


def turn(consumer: Consumer, producer: Producer, records: list[Message], target: str, work: Work) -> None:
    """One transaction: what the records lead to, and that they were read. Raises KafkaException if it fails."""
    ends: Ends = {}
    producer.begin_transaction()
    for record in records:
        partition, offset = record.partition(), record.offset()
        assert partition is not None and offset is not None
        value, headers = work(record)
        producer.produce(target, value, record.key(), partition, headers=headers)
        ends[record.topic(), partition] = offset + 1
    commit(consumer, producer, ends)


def commit(consumer: Consumer, producer: Producer, ends: Ends) -> None:
    """End a transaction, in which that much was read. Raises KafkaException if it fails."""
    offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
    producer.commit_transaction()


def run(work: Work, name: str, then: Callable[[], None] = lambda: None) -> None:
    """The process of a hop that does this ``work``, until SIGTERM; ``then`` comes after each commit.

    What fails ends the process: a bare loop recovers from nothing.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.bare.{name}")
    parser.add_argument("--servers", required=True, help="Kafka")
    parser.add_argument("--source", required=True, help="topic to read")
    parser.add_argument("--target", required=True, help="topic to write")
    options = parser.parse_args()
    stopped: list[int] = []
    as_batch_work()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    group = f"{name}.{options.source}"
    producer, consumer = (
        transactional_producer(options.servers, group),
        group_consumer(options.servers, group),
    )
    producer.init_transactions()
    consumer.subscribe([options.source])
    while not stopped:
        if records := batch_of(consumer, 0.5):
            turn(consumer, producer, records, options.target, work)
            then()
    consumer.close()


if __name__ == "__main__":
    run(transcode(), "hop")
