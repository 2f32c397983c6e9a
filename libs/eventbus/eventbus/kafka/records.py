"""Records as the client gives them, and where they stand."""

from __future__ import annotations

from operator import methodcaller
from typing import cast

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition, murmur2
from confluent_kafka import Message as Record

from eventbus.kafka.errors import is_unreadable
from eventbus.model.record import LATEST, Headers, Raw


def partition_of(key: bytes, count: int) -> int:
    """The partition of a key, as Java's default partitioner and ``murmur2_random`` place it."""
    return int(murmur2(key, count))


def end_of(consumer: Consumer, topic: str, partition: int, timeout: float) -> int:
    """The offset after the last record that a consumer of this isolation may come to see. Raises KafkaException."""
    marks = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout)
    if marks is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    return int(marks[1])


def ends_of(consumer: Consumer, topic: str, partitions: int, timeout: float) -> dict[int, int]:
    """By partition, the end of a topic as :func:`end_of` gives it; one request a broker. Raises KafkaException."""
    # The offset that stands for the end takes the place of a time in the same request.
    asked = [TopicPartition(topic, number, OFFSET_END) for number in range(partitions)]
    found = consumer.offsets_for_times(asked, timeout=timeout)
    if failed := next((place.error for place in found if place.error is not None), None):
        raise KafkaException(failed)
    return {place.partition: int(place.offset) for place in found}


def committed_of(consumer: Consumer, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
    """What the group of a consumer has committed for each of these (negative: never). Raises KafkaException."""
    committed = consumer.committed(places, timeout=timeout)
    if failed := next((tp.error for tp in committed if tp.error is not None), None):
        raise KafkaException(failed)
    return committed


def after_unreadable(probe: Consumer, topic: str, partition: int, first: int, timeout: float = 1.0) -> int:
    """The offset after an unreadable batch that begins at ``first``. Raises KafkaException.

    A fetch from any offset within the batch fails, and names the batch's first offset. So a binary search of the
    rest of the log finds the end. ``probe`` is a consumer that reads nothing else; ``topic`` is the
    name on the cluster.
    """
    low, high = first + 1, end_of(probe, topic, partition, timeout)
    while low < high:
        middle = (low + high) // 2
        probe.assign([TopicPartition(topic, partition, middle)])
        record = probe.poll(timeout)
        error = record.error() if record else None
        if record and error and is_unreadable(error) and record.offset() == first:
            low = middle + 1
        else:
            high = middle
    probe.unassign()
    return low


def raw_of(record: Record, prefix: str) -> Raw:
    """A confluent-kafka message as a plain record, its topic without the prefix."""
    return raw_with(record, topic_of(record, prefix), *headers_of_record(record))


def topic_of(record: Record, prefix: str) -> str:
    """The topic of a record, without the prefix."""
    topic = record.topic()
    assert topic is not None
    return topic.removeprefix(prefix)


def raw_with(record: Record, topic: str, headers: Headers, flaw: str) -> Raw:
    """A confluent-kafka message as a plain record, with what was asked of it already."""
    partition, offset = record.partition(), record.offset()
    assert partition is not None and offset is not None
    millis = record.timestamp()[1]
    return Raw(
        topic,
        partition,
        offset,
        record.key(),
        record.value(),
        headers,
        millis if 0 <= millis <= LATEST else 0,
        flaw,
    )


def unreadable(topic: str, partition: int, offset: int, error: KafkaError) -> Raw:
    """A record without content that stands for an unreadable batch."""
    return Raw(topic, partition, offset, None, None, [], 0, f"the batch cannot be read: {error.str()}")


_call_headers = methodcaller("headers")
"""``record.headers()`` with the interpreter's check of what C code returns. A name that is not UTF-8 leaves a tuple
with a hole, and an error that is set but not raised (confluent-kafka 2.16). A plain call that the interpreter has
optimised checks neither: the error surfaces anywhere, and reading the tuple crashes the process."""


def headers_of_record(record: Record) -> tuple[Headers, str]:
    """A record's headers, or why it gives none. Asked a second time, the client would hand out broken tuples."""
    try:
        return cast(Headers, _call_headers(record) or []), ""
    except (SystemError, UnicodeDecodeError) as error:
        return [], f"the name of a header is not UTF-8 ({error})"
