"""Asks the brokers where partitions end, and up to where the replicas of a service have decided them."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaException, TopicPartition

from eventbus.kafka.clients import probe_consumer
from eventbus.kafka.records import end_of, ends_of
from eventbus.model.errors import Unavailable
from eventbus.model.places import Partition
from eventbus.settings import Settings


class OffsetProbe:
    """Called from the event loop; a worker thread waits for the brokers. Every question raises Unavailable if they
    do not answer within ``read_timeout``."""

    def __init__(self, service: str, settings: Settings) -> None:
        self._settings = settings
        self._uncommitted = probe_consumer(settings, f"{service}.probe", "read_uncommitted")
        self._group = probe_consumer(settings, service, "read_committed")

    def close(self) -> None:
        self._uncommitted.close()
        self._group.close()

    async def end(self, partition: Partition) -> int:
        """The end of a partition, records of open transactions included."""
        return await asyncio.to_thread(self._end, partition)

    async def all_ends(self, topic: str, partitions: int) -> dict[Partition, int]:
        """The end of every partition of a topic, records of open transactions included."""
        return await asyncio.to_thread(self._all_ends, topic, partitions)

    async def decided(self, partition: Partition) -> int:
        """Up to where the service has committed that a partition is decided; negative if nowhere."""
        return await asyncio.to_thread(self._committed, partition)

    def _end(self, partition: Partition) -> int:
        topic, number = self._settings.topic(partition.topic), partition.number
        try:
            return end_of(self._uncommitted, topic, number, self._settings.read_timeout)
        except KafkaException as error:
            raise self._unavailable(topic, error) from error

    def _all_ends(self, topic: str, partitions: int) -> dict[Partition, int]:
        named = self._settings.topic(topic)
        try:
            ends = ends_of(self._uncommitted, named, partitions, self._settings.read_timeout)
        except KafkaException as error:
            raise self._unavailable(named, error) from error
        return {Partition(topic, number): end for number, end in ends.items()}

    def _committed(self, partition: Partition) -> int:
        asked = TopicPartition(self._settings.topic(partition.topic), partition.number)
        try:
            (found,) = self._group.committed([asked], timeout=self._settings.read_timeout)
        except KafkaException as error:
            raise self._unavailable(asked.topic, error) from error
        return int(found.offset)

    def _unavailable(self, topic: str, error: KafkaException) -> Unavailable:
        return Unavailable(
            f"Kafka does not answer at {self._settings.bootstrap_servers} where {topic} ends: "
            f"{error.args[0].str()}"
        )
