"""Kafka's clients with the face of confluent-kafka, as far as eventbus uses it, over the broker in memory.

Where the real client does something in the background (fetching, heartbeats), these do it when they are polled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from confluent_kafka import Consumer
from confluent_kafka import Producer as KafkaProducer

from eventbus.kafka.clients import Clients
from eventbus.kafka.guard import Guard
from eventbus.settings import Settings
from verification.sim.broker import Broker
from verification.sim.consumers import Connection, InputConsumer, LogConsumer, Probe
from verification.sim.groups import Group
from verification.sim.producer import Producer

T = TypeVar("T")


class Unguarded(Guard):
    """There are no threads here: a call comes back, or says that it does not."""

    def __call__(self, call: Callable[..., T], *args: Any, grace: float = 0.0) -> T:
        return call(*args)


class MemoryClients(Clients):
    """Clients of one process."""

    def __init__(
        self, broker: Broker, connection: Connection, group: Group, name: str, trouble: Callable[[str], None]
    ) -> None:
        self._broker, self._connection, self._group, self._name = broker, connection, group, name
        self._trouble = trouble
        self.inputs: InputConsumer | None = None

    def input(
        self, settings: Settings, group: str, on_statistics: Callable[[str], None], wait: float
    ) -> Consumer:
        self.inputs = InputConsumer(self._broker, self._connection, self._group, self._name)
        return cast(Consumer, self.inputs)

    def log(self, settings: Settings, name: str) -> Consumer:
        return cast(Consumer, LogConsumer(self._broker, self._connection))

    def probe(self, settings: Settings, group: str, isolation: str) -> Consumer:
        return cast(Consumer, Probe(self._broker, self._connection))

    def producer(self, settings: Settings, transactional_id: str) -> KafkaProducer:
        service = transactional_id.rpartition("-")[0]
        producer = Producer(self._broker, self._connection, transactional_id, service, self._trouble)
        return cast(KafkaProducer, producer)

    def guard(self, hears: Callable[[], bool]) -> Guard:
        return Unguarded(hears)
