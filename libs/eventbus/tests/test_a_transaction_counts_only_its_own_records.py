"""The transactional writer returns what its transaction wrote, whatever a producer of before reports late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from eventbus.kafka.guard import Guard
from eventbus.kafka.transactions import Aborted, TransactionalWriter
from eventbus.model.places import Partition
from eventbus.model.record import Headers


class Out(NamedTuple):
    """A record to write."""

    topic: str
    value: bytes
    partition: int = 0
    key: bytes = b"k"
    headers: Headers = []  # noqa: RUF012 - never changed

    @property
    def size(self) -> int:
        return len(self.value)


class Sent:
    """What the client says of a record that a broker has."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class MemoryProducer:
    """Reports each record when its transaction commits, or when a test says so."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[Any, Sent], None]] = []
        self.offsets: list[Any] = []
        self.too_large = 10**9

    def init_transactions(self, *_: object) -> None: ...

    def begin_transaction(self) -> None:
        self.callbacks = []

    def produce(
        self, topic: str, *, value: bytes, on_delivery: Callable[[Any, Sent], None], **_: object
    ) -> None:
        if len(value) > self.too_large:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.callbacks.append(on_delivery)

    def send_offsets_to_transaction(self, offsets: list[Any], *_: object) -> None:
        self.offsets = [(tp.topic, tp.partition, tp.offset) for tp in offsets]

    def report(self) -> None:
        for offset, callback in enumerate(self.callbacks):
            callback(None, Sent(offset))

    def commit_transaction(self, *_: object) -> None:
        self.report()


class Writing:
    """A writer, and the producers that it had, the latest last."""

    def __init__(self) -> None:
        self.producers: list[MemoryProducer] = []
        self.writer = TransactionalWriter[Out](
            self._new, Guard(lambda: True), named=lambda topic: f"prefix.{topic}", timeout=5.0
        )

    def _new(self) -> Producer:
        self.producers.append(MemoryProducer())
        return cast(Producer, self.producers[-1])


@pytest.fixture
def writing() -> Writing:
    return Writing()


def test_records_come_back_with_their_offsets_and_input_is_committed_under_its_name(writing: Writing) -> None:
    writer = writing.writer
    writer.take_over()
    writer.begin()
    for value in (b"a", b"b"):
        writer.produce(Out("log", value))
    writer.send_offsets({Partition("in", 2): 7}, "group")

    assert writer.commit() == [(Out("log", b"a"), 0), (Out("log", b"b"), 1)]
    assert writing.producers[0].offsets == [("prefix.in", 2, 7)]


def test_what_a_producer_of_before_reports_late_is_no_part_of_the_transaction(writing: Writing) -> None:
    writer = writing.writer
    writer.begin()
    writer.produce(Out("log", b"given up"))
    writer.restart()
    writer.begin()
    writer.produce(Out("log", b"new"))
    writing.producers[0].report()

    assert writer.commit() == [(Out("log", b"new"), 0)]


def test_a_commit_that_leaves_a_record_without_an_offset_is_a_bug_that_is_seen(writing: Writing) -> None:
    writer = writing.writer
    writer.begin()
    writer.produce(Out("log", b"a"))
    writing.producers[0].callbacks.clear()
    with pytest.raises(RuntimeError, match="without an offset"):
        writer.commit()


def test_of_what_is_too_large_the_largest_of_each_partition_is_to_blame_once(writing: Writing) -> None:
    writer = writing.writer
    writing.producers[0].too_large = 3
    for size in (5, 9, 7):
        writer.begin()
        with pytest.raises(Aborted):
            writer.produce(Out("log", b"x" * size))

    assert [record.size for record in writer.refused()] == [9]
    assert writer.refused() == []
