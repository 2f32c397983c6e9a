"""The Kafka clients of bare programs, set for small transactions as well as this project's are."""

from __future__ import annotations

import os

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

COMMON = {"log_level": 2, "socket.nagle.disable": True, "socket.keepalive.enable": True}


def as_batch_work() -> None:
    """Have this thread, and all that it starts, interrupt no other when it wakes up, as this project does."""
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def group_consumer(servers: str, group: str) -> Consumer:
    """A member of a group, reading committed records from the beginning."""
    return Consumer(
        {
            **COMMON,
            "bootstrap.servers": servers,
            "group.id": group,
            "group.protocol": "consumer",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 500,
            "fetch.queue.backoff.ms": 50,
        }
    )


def reader(servers: str, isolation: str = "read_committed", group: str = "bare.reader") -> Consumer:
    """A consumer that is assigned what it reads. It may ask what a group has committed."""
    return Consumer(
        {
            **COMMON,
            "bootstrap.servers": servers,
            "group.id": group,
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


def transactional_producer(servers: str, name: str) -> Producer:
    """A producer for exactly-once loops. With the default ``retry.backoff.ms`` a transaction takes 100 ms."""
    return Producer(
        {
            **COMMON,
            "bootstrap.servers": servers,
            "transactional.id": name,
            "retry.backoff.ms": 2,
            "retry.backoff.max.ms": 50,
            "linger.ms": 0,
            "compression.type": "lz4",
        }
    )


def durable_producer(servers: str, linger_ms: float = 1) -> Producer:
    """An idempotent producer: a record is durable (acks=all) before it is reported as delivered."""
    return Producer(
        {
            **COMMON,
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": linger_ms,
            "compression.type": "lz4",
        }
    )


def create_topics(
    servers: str, names: list[str], partitions: int, replication: int, config: dict[str, str] | None = None
) -> None:
    """Make topics that are not there yet, and return once they are. Raises KafkaException."""
    admin = AdminClient({**COMMON, "bootstrap.servers": servers})
    made = admin.create_topics(
        [NewTopic(name, partitions, replication, config=config or {}) for name in names]
    )
    for future in made.values():
        future.result()
