"""What the command line reads from Kafka: which services there are, their records, and what is committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from eventbus.cli.ending import CommandError, Exit, unreachable
from eventbus.cli.record_reader import TIMEOUT, RecordReader
from eventbus.kafka.clients import probe_consumer
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import partition_of, raw_of, unreadable
from eventbus.model.places import Partition, Position
from eventbus.model.record import Raw
from eventbus.settings import Settings

T = TypeVar("T")


class TopicReader:
    """Reads the topics of a cluster. Every method raises CommandError if Kafka is away."""

    def __init__(self, settings: Settings) -> None:
        # The client would log that no broker is reachable; the CommandError says it in one sentence.
        logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
        self._settings, self.servers = settings, settings.bootstrap_servers
        self._stable = probe_consumer(settings, "dlq.probe", "read_committed")
        self._uncommitted = probe_consumer(settings, "dlq.probe", "read_uncommitted")
        self._groups: dict[str, Consumer] = {}
        self._records = RecordReader(settings)
        self.services = self._services()
        """By name, the number of partitions of its topics."""

    def _services(self) -> dict[str, int]:
        topics = self._topics()
        prefix, found = self._settings.topic_prefix, {}
        for name, topic in topics.items():
            service = name.removeprefix(prefix).removesuffix(".retry")
            own = [f"{prefix}{service}.{kind}" for kind in ("retry", "dlq", "admin")]
            # A dot would be the prefix of somebody else's environment.
            if own[0] == name and "." not in service and all(o in topics for o in own):
                found[service] = len(topic.partitions)
        return found

    def read(self, partitions: Iterable[Partition], fold: Callable[[Raw], None]) -> None:
        """Call ``fold`` with every committed record of these partitions that was not read yet, up to their ends."""
        ends = {
            partition: end
            for partition in partitions
            if (end := self._end(partition)) > self._records.next[partition]
        }
        if not ends:
            return
        self._records.assign({partition: self._records.next[partition] for partition in ends})
        for raw in self._records.up_to(ends):
            fold(raw)

    def _end(self, partition: Partition) -> int:
        """Where the committed records of a partition end. The first call has reading begin at its first record."""
        low, high = self.bounds(partition)
        self._records.next.setdefault(partition, low)
        return high

    def bounds(self, partition: Partition, *, committed: bool = True) -> tuple[int, int]:
        """The first offset of a partition and the one after the last, ``committed`` or also of open transactions."""
        consumer = self._stable if committed else self._uncommitted
        marks = self._ask(lambda timeout: consumer.get_watermark_offsets(self._named(partition), timeout))
        if marks is None:
            raise unreachable(self.servers, "it does not say where a partition ends")
        return marks

    def first_since(self, partitions: Iterable[Partition], moment: int) -> dict[Partition, int]:
        """By partition, the offset of the first record of ``moment`` (ms since epoch) or later; -1 for none."""
        asked = [self._named(partition, moment) for partition in partitions]
        found = self._ask(lambda timeout: self._stable.offsets_for_times(asked, timeout))
        return {self._partition(tp): tp.offset for tp in found}

    def names(self) -> list[str]:
        """The names of all topics under the prefix, without it."""
        prefix = self._settings.topic_prefix
        return sorted(name.removeprefix(prefix) for name in self._topics() if name.startswith(prefix))

    def _topics(self, name: str | None = None) -> dict[str, Any]:
        """What the cluster says of its topics, or of the one that is named."""
        if name is None:
            return dict(self._ask(lambda timeout: self._stable.list_topics(timeout=timeout)).topics)
        return dict(self._ask(lambda timeout: self._stable.list_topics(name, timeout)).topics)

    def _ask(self, question: Callable[[float], T]) -> T:
        """The answer of the brokers; asked again while they do not know it yet, for TIMEOUT seconds in all."""
        until = time.monotonic() + TIMEOUT
        while True:
            try:
                return question(max(until - time.monotonic(), 0.1))
            except KafkaException as exception:
                if not passes(exception.args[0]) or time.monotonic() > until:
                    raise unreachable(self.servers, exception.args[0].str()) from exception
                time.sleep(0.05)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; 0 if there is no such topic."""
        name = self._settings.topic(topic)
        known = self._topics(name).get(name)
        return len(known.partitions) if known and known.error is None else 0

    def record(self, position: Position) -> Raw | None:
        """The record at a position, committed or not; None if it is a marker, or was compacted away.

        Raises CommandError for a position before the first offset or after the last.
        """
        partition = Partition(position.topic, position.partition)
        low, high = self.bounds(partition, committed=False)
        if not low <= position.offset < high:
            raise CommandError(
                Exit.USAGE,
                f"{position.topic} has in partition {position.partition} the offsets from {low} up to {high - 1}.",
            )
        self._uncommitted.assign([self._named(partition, position.offset)])
        deadline = time.monotonic() + TIMEOUT
        try:
            while time.monotonic() < deadline:
                record = self._uncommitted.poll(0.2)
                if record is None:
                    continue
                error = record.error()
                if error is not None and is_unreadable(error):
                    return unreadable(*position, error)
                if error is None:
                    raw = raw_of(record, self._settings.topic_prefix)
                    return raw if raw.offset == position.offset else None
            return None
        finally:
            self._uncommitted.unassign()

    def partitions_of(self, service: str, *kinds: str) -> list[Partition]:
        """The partitions of ``<service>.<kind>``."""
        return [Partition(f"{service}.{kind}", i) for kind in kinds for i in range(self.services[service])]

    def end(self, partition: Partition) -> int:
        """The end of a partition, records of open transactions included."""
        return self.bounds(partition, committed=False)[1]

    def read_up_to(self, partition: Partition) -> int:
        """Up to where a partition has been read."""
        return self._records.next.get(partition, 0)

    def committed(self, service: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Up to where a service has decided partitions it takes as input."""
        group = self._groups.get(service) or probe_consumer(self._settings, service, "read_committed")
        self._groups[service] = group
        asked = [self._named(partition) for partition in partitions]
        found = self._ask(lambda timeout: group.committed(asked, timeout))
        return {self._partition(tp): tp.offset for tp in found}

    def admin_partition(self, service: str, key: str) -> Partition:
        """The partition of a service's admin topic to which commands for ``key`` go."""
        return Partition(f"{service}.admin", partition_of(key.encode(), self.services[service]))

    def _named(self, partition: Partition, offset: int = -1) -> TopicPartition:
        return TopicPartition(self._settings.topic(partition.topic), partition.number, offset)

    def _partition(self, tp: TopicPartition) -> Partition:
        return Partition(tp.topic.removeprefix(self._settings.topic_prefix), tp.partition)

    def close(self) -> None:
        """Close the consumers."""
        self._records.close()
        for consumer in (self._stable, self._uncommitted, *self._groups.values()):
            consumer.close()
