"""How fast records of an order become durable when nothing else is done: the ceiling of whatever produces."""

from __future__ import annotations

import time

from bench.bare.clients import durable_producer
from bench.bare.record import CREATED, AvroCodec, created


def produced_per_second(servers: str, topic: str, count: int = 100_000) -> float:
    """Records a second, of one idempotent producer with acks=all whose batches are full. Raises RuntimeError."""
    producer, value = durable_producer(servers), AvroCodec(CREATED).encode(created("0" * 36))
    keys = [str(number).encode() for number in range(1000)]
    began = time.monotonic()
    for number in range(count):
        while True:
            try:
                producer.produce(topic, value, keys[number % 1000])
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise RuntimeError(f"records for {topic} are not durable after 60 s")
    return count / (time.monotonic() - began)
