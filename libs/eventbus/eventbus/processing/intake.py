"""Step 1 of the processor: what arrives for the tasks led, as much as there is room for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus import metrics
from eventbus.kafka.errors import comes_too_early, is_unreadable, passes
from eventbus.kafka.records import headers_of_record, raw_with, topic_of, unreadable
from eventbus.model.places import Partition, Position
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext
from eventbus.processing.follower import Follower
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.ports import CallRunner
from eventbus.processing.tasks import Tasks
from eventbus.settings import Settings

log = logging.getLogger("eventbus.intake")
ANSWERS = 0.01
"""Seconds that input waits at most for the answers of calls under way."""
GATHER = 0.001
"""Seconds for which more is gathered behind a record that had to be waited for: what one transaction wrote is shown
partition by partition, and is to be decided together."""
MANY = 500
"""Records of a batch after which there is no rest: what it would gather waits already, or comes meanwhile."""
SLICE = 16
"""Records taken at a time: a batch may exceed its bytes by so many records at most."""


class Intake:
    """Takes input for one turn after the other, and knows what the consumer has read."""

    def __init__(
        self,
        consumer: Consumer,
        tasks: Tasks,
        follower: Follower,
        calls: CallRunner,
        context: TurnContext,
        settings: Settings,
    ) -> None:
        self._consumer, self._tasks, self._follower, self._calls = consumer, tasks, follower, calls
        self._context, self._settings = context, settings
        self._offsets: OffsetTracker = context.offsets
        self.metadata: object = None
        """The consumer group's metadata as of the last poll."""
        self.is_full = False
        """Whether the last poll took as much as it may, or so many records that a rest would not gather more."""

    def poll(self) -> list[Record]:
        """Records that have arrived, or arrive within a moment. The callbacks of the consumer group run in here."""
        tasks, room = self._tasks, self._room()
        tasks.pause(not room)
        wait = 0.02 if tasks.following else 0.2
        if tasks.catching_up and not self._follower.stopped:
            wait = 0.005
        if self._calls.in_flight():
            # Their answers go into one transaction, as soon as the last is there.
            self._calls.wait(ANSWERS)
            wait = 0.0
        tasks.touched.clear()
        taken = take(self._consumer, wait, room, self._settings.max_batch_bytes)
        self.is_full = is_full(taken, room, self._settings.max_batch_bytes)
        self.metadata = self._consumer.consumer_group_metadata()
        return taken

    def raws(self, taken: list[Record]) -> Iterator[Raw]:
        """The records of the last poll that are to be looked at, one by one; ``taken`` is empty then.

        Most are of no interest here. So each is let go before the next one is read, and that takes its memory.
        """
        led = self._tasks.led - self._tasks.touched
        taken.reverse()
        while taken:
            raw = self._raw(taken.pop())
            # A partition that came or went while this batch was gathered is read again from its committed offset.
            if raw and raw.partition in led:
                yield raw

    def positions(self) -> dict[Partition, int]:
        """The input partitions of the tasks led, each with the offset that the consumer reads next."""
        inputs = self._tasks.inputs()
        found = self._consumer.position(inputs) if inputs else []
        return {self._partition(tp.topic, tp.partition): tp.offset for tp in found}

    def seek(self, tasks: set[int]) -> None:
        """Read the inputs of these tasks from what is committed; what is buffered of them is dropped.

        What is skipped is not even fetched: it may be too large for this process.
        """
        for tp in self._tasks.inputs(tasks):
            partition = self._partition(tp.topic, tp.partition)
            upto = self._offsets.group_stands(partition)
            while Position(*partition, max(upto, 0)) in self._follower.skips:
                upto = max(upto, 0) + 1
            offset = upto if upto >= 0 else OFFSET_BEGINNING
            self._consumer.seek(TopicPartition(tp.topic, tp.partition, offset))

    def close(self) -> None:
        """Leave the consumer group."""
        self._consumer.close()

    def _room(self) -> int:
        """How many inputs this turn may take. With the breaker open, as many as there may be probes of them."""
        if self._offsets.unfinished() >= self._settings.max_waiting:
            return 0
        breaker = self._context.breaker
        if breaker.is_open:
            return breaker.room(self._context.clock(), self._calls.in_flight())[0]
        return self._settings.max_batch

    def _raw(self, record: Record) -> Raw | None:
        """The record that was polled. None for an error, an event that nobody here takes, and what an operator set
        aside."""
        if error := record.error():
            if is_unreadable(error):
                return self._pass_unreadable(record, error)
            if error.fatal() or not passes(error):
                raise KafkaException(error)
            log.warning("input: %s", error.str())
            return None
        topic, (headers, flaw) = topic_of(record, self._settings.topic_prefix), headers_of_record(record)
        if self._context.router.passes_by(topic, headers):
            return None  # most are: no more is asked of them
        raw = raw_with(record, topic, headers, flaw)
        if raw.position in self._follower.skips:
            metrics.SKIPPED.labels(raw.topic).inc()
            log.warning("%s is skipped: an operator set it aside", raw.coordinates)
            return None
        return raw

    def _pass_unreadable(self, record: Record, error: KafkaError) -> Raw | None:
        """Go on behind an unreadable batch. A record that stands for it becomes a dead letter, once."""
        topic, number, first = record.topic(), record.partition(), record.offset()
        assert topic is not None and number is not None and first is not None
        partition = self._partition(topic, number)
        if self._offsets.has_passed(partition, first):
            return None
        try:
            after = self._follower.after_unreadable(partition, first)
            self._consumer.seek(TopicPartition(topic, number, after))
        except KafkaException as exception:
            if not comes_too_early(exception.args[0]):
                raise
            return None  # the client reports it again
        self._offsets.pass_over(partition, after)
        log.error("%s from %d to %d is passed over: %s", partition, first, after - 1, error.str())
        return unreadable(*partition, first, error)

    def _partition(self, topic: str, number: int) -> Partition:
        return Partition(topic.removeprefix(self._settings.topic_prefix), number)


def take(consumer: Consumer, wait: float, most: int, most_bytes: int) -> list[Record]:
    """Up to ``most`` records that have arrived, or arrive within ``wait`` seconds; no more after ``most_bytes``.

    A batch is one transaction. Without the bound in bytes, small messages would wait for the large ones beside them.
    """
    began = time.monotonic()
    first = consumer.poll(wait)
    if first is not None and time.monotonic() - began > GATHER:
        time.sleep(GATHER)
    records = [] if first is None else [first]
    size = _bytes(records)
    while 0 < len(records) < most and size < most_bytes:
        more = consumer.consume(min(SLICE, most - len(records)), 0)
        if not more:
            break
        records += more
        size += _bytes(more)
    return records


def is_full(records: list[Record], most: int, most_bytes: int) -> bool:
    """Whether a batch holds as much as it may, or many records."""
    return bool(records) and (len(records) >= min(most, MANY) or _bytes(records) >= most_bytes)


def _bytes(records: list[Record]) -> int:
    return sum(len(record.value() or b"") for record in records)
