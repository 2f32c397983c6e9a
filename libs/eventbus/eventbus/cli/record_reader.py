"""Reads partitions from given offsets on, record by record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus.cli.ending import unreachable
from eventbus.kafka.clients import common, probe_consumer
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import after_unreadable, raw_of, unreadable
from eventbus.model.places import Partition
from eventbus.model.record import Raw
from eventbus.settings import Settings

TIMEOUT = 5.0
"""Seconds to wait for an answer of the brokers."""


class RecordReader:
    """Gives each record of the assigned partitions once, in the order of its partition.

    It is in no group and commits nothing. ``next`` says by partition up to where it has read. A batch that cannot be
    read is given as one record with a flaw.
    """

    def __init__(self, settings: Settings, *, committed: bool = True) -> None:
        """``committed``: records of open and aborted transactions are left out."""
        self._settings = settings
        self._consumer = Consumer(
            {
                **common(settings),
                "group.id": settings.topic("cli.reader"),
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
            }
        )
        self._probe = probe_consumer(settings, "cli.reader", "read_uncommitted")
        self.next: dict[Partition, int] = {}

    def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self.next |= starts
        self._consumer.assign([self._named(partition, offset) for partition, offset in starts.items()])

    def up_to(self, ends: Mapping[Partition, int]) -> Iterator[Raw]:
        """The records of the assigned partitions up to these offsets, and what came with them from behind.

        Raises CommandError if they do not come.
        """
        last_at = time.monotonic()
        while any(self.next[partition] < end for partition, end in ends.items()):
            before = dict(self.next)
            yield from self.batch(0.05)
            if self.next != before:
                last_at = time.monotonic()
            elif time.monotonic() - last_at > 2 * TIMEOUT:
                raise unreachable(self._settings.bootstrap_servers, "it stopped answering")

    def before(self, ends: Mapping[Partition, int]) -> Iterator[Raw]:
        """The records of the assigned partitions before these offsets. Raises CommandError as :meth:`up_to`."""
        return (raw for raw in self.up_to(ends) if raw.offset < ends[Partition(raw.topic, raw.partition)])

    def batch(self, timeout: float) -> list[Raw]:
        """The next records, by their times as far as their partitions allow. Raises CommandError.

        There are none if none come within ``timeout`` seconds.
        """
        found = (self._take(record) for record in self._consumer.consume(1000, timeout))
        return by_time(raw for raw in found if raw is not None)

    def _take(self, record: Record) -> Raw | None:
        error, topic, number, offset = record.error(), record.topic(), record.partition(), record.offset()
        if error is not None and error.code() != KafkaError._PARTITION_EOF and not is_unreadable(error):
            if passes(error):
                return None
            raise unreachable(self._settings.bootstrap_servers, error.str())
        assert topic is not None and number is not None and offset is not None
        partition = Partition(topic.removeprefix(self._settings.topic_prefix), number)
        if offset < self.next[partition]:
            return None
        raw = None
        if error is None:
            raw = raw_of(record, self._settings.topic_prefix)
            offset += 1
        elif is_unreadable(error):
            raw = unreadable(*partition, offset, error)
            offset = self._after_unreadable(partition, offset)
            self._consumer.seek(self._named(partition, offset))
        self.next[partition] = offset
        return raw

    def _after_unreadable(self, partition: Partition, first: int) -> int:
        try:
            topic = self._settings.topic(partition.topic)
            return after_unreadable(self._probe, topic, partition.number, first)
        except KafkaException as exception:
            raise unreachable(self._settings.bootstrap_servers, exception.args[0].str()) from exception

    def _named(self, partition: Partition, offset: int) -> TopicPartition:
        return TopicPartition(self._settings.topic(partition.topic), partition.number, offset)

    def close(self) -> None:
        """Close the consumers."""
        self._consumer.close()
        self._probe.close()


def by_time(records: Iterable[Raw]) -> list[Raw]:
    """Records of several partitions by their times; those of one partition stay in their order."""
    latest: dict[Partition, int] = {}
    timed = []
    for raw in records:
        partition = Partition(raw.topic, raw.partition)
        latest[partition] = max(raw.timestamp, latest.get(partition, 0))
        timed.append((latest[partition], raw))
    return [raw for _, raw in sorted(timed, key=itemgetter(0))]
