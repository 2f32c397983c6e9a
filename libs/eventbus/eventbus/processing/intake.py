"""Step 1 of the processor: what a batch takes in, bounded by count and by bytes."""

from __future__ import annotations

from confluent_kafka import Consumer
from confluent_kafka import Message as Record

SLICE = 16
"""Records taken at a time: a batch may exceed its bytes by so many records at most."""


def take(consumer: Consumer, wait: float, most: int, most_bytes: int) -> list[Record]:
    """What has arrived, or does within ``wait`` seconds: ``most`` records, and no more once they have ``most_bytes``.

    A batch is one transaction: without the second bound, all that came with some large messages would wait for them.
    """
    first = consumer.poll(wait)
    records = [] if first is None else [first]
    size = _bytes(records)
    while 0 < len(records) < most and size < most_bytes:
        more = consumer.consume(min(SLICE, most - len(records)), 0)
        if not more:
            break
        records += more
        size += _bytes(more)
    return records


def _bytes(records: list[Record]) -> int:
    return sum(len(record.value() or b"") for record in records)
