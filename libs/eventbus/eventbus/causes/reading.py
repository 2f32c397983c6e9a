"""Reads ranges of several partitions at once, each up to its end or to a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus.causes.links import LETTERS, RETRY
from eventbus.causes.source import Take
from eventbus.kafka.clients import probe_consumer
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import after_unreadable, raw_of, unreadable
from eventbus.model.errors import Unavailable
from eventbus.model.places import Partition
from eventbus.settings import Settings

LATER = 50
"""Records in a row that are later than a range before reading stops: the time of a single one may be forged."""
SILENT = 5.0
"""Seconds without a word from the brokers after which they count as away."""
BATCH, WAIT = 200, 0.02
"""Records, and seconds: the client waits that long for a batch to be full."""


class Range(NamedTuple):
    """From an offset up to another, that one not included, or to a time (ms since epoch), whichever comes first."""

    start: int
    end: int
    until: int


def away(settings: Settings, reason: str) -> Unavailable:
    """The error for brokers that do not answer."""
    return Unavailable(f"Kafka does not answer at {settings.bootstrap_servers}: {reason}")


class Reading:
    """One pass over some ranges. ``left`` says for how many seconds it may go on, and raises after the last."""

    def __init__(self, settings: Settings, consumer: Consumer, left: Callable[[], float]) -> None:
        self._settings, self._consumer, self._left = settings, consumer, left
        self._ranges: dict[Partition, Range] = {}
        self._later: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self._only: bytes | None = None

    def run(self, ranges: Mapping[Partition, Range], take: Take, only: bytes | None = None) -> None:
        """Hand on the records of all ranges. Raises what ``left`` raises, and Unavailable.

        ``only``: see :meth:`~eventbus.causes.source.Source.read`.
        """
        ranges = {partition: range_ for partition, range_ in ranges.items() if range_.start < range_.end}
        if not ranges:
            return
        self._ranges, self._later, self._only = ranges, dict.fromkeys(ranges, 0), only
        self._next = {partition: range_.start for partition, range_ in ranges.items()}
        self._consumer.assign([self._named(partition, at) for partition, at in self._next.items()])
        silent = 0.0
        try:
            while self._ranges:
                wait = min(self._left(), WAIT)
                records = self._consumer.consume(BATCH, wait)
                silent = 0.0 if records else silent + wait
                if silent >= SILENT:
                    raise away(self._settings, f"nothing comes from {next(iter(self._ranges))}")
                done = [partition for record in records if (partition := self._handle(record, take))]
                if done and self._ranges:
                    self._consumer.incremental_unassign([self._named(p) for p in dict.fromkeys(done)])
        finally:
            self._consumer.unassign()

    def _handle(self, record: Record, take: Take) -> Partition | None:
        """Hand on a record; returns its partition if that is read now."""
        error, topic, number, offset = record.error(), record.topic(), record.partition(), record.offset()
        if error is not None and error.code() != KafkaError._PARTITION_EOF and not is_unreadable(error):
            if passes(error):
                return None
            raise away(self._settings, error.str())
        assert topic is not None and number is not None and offset is not None
        partition = Partition(topic[len(self._settings.topic_prefix) :], number)
        range_ = self._ranges.get(partition)
        if range_ is None or offset < self._next[partition]:
            return None  # what was fetched beyond its range
        if error is None:
            is_read = self._pass_on(record, partition, range_, take)
        elif is_unreadable(error):
            is_read = self._pass_by(partition, offset, error, range_, take)
        else:
            is_read = True
        if is_read:
            del self._ranges[partition]
        return partition if is_read else None

    def _pass_on(self, record: Record, partition: Partition, range_: Range, take: Take) -> bool:
        offset = record.offset()
        assert offset is not None
        if offset >= range_.end:
            return True
        self._next[partition] = offset + 1
        self._later[partition] = self._later[partition] + 1 if record.timestamp()[1] > range_.until else 0
        if self._only is None or record.key() == self._only or partition.topic.endswith((RETRY, LETTERS)):
            take(raw_of(record, self._settings.topic_prefix))
        return self._next[partition] >= range_.end or self._later[partition] >= LATER

    def _pass_by(
        self, partition: Partition, offset: int, error: KafkaError, range_: Range, take: Take
    ) -> bool:
        """Hand on a record that stands for a batch that cannot be read, and go on behind the batch."""
        take(unreadable(*partition, offset, error))
        probe = probe_consumer(self._settings, "causes", "read_uncommitted")
        try:
            after = after_unreadable(probe, self._settings.topic(partition.topic), partition.number, offset)
            if after < range_.end:
                self._consumer.seek(self._named(partition, after))
        except KafkaException as exception:
            raise away(self._settings, exception.args[0].str()) from exception
        finally:
            probe.close()
        self._next[partition] = after
        return after >= range_.end

    def _named(self, partition: Partition, offset: int = -1) -> TopicPartition:
        return TopicPartition(self._settings.topic(partition.topic), partition.number, offset)
