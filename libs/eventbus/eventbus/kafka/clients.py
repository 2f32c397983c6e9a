"""The Kafka clients of this library, and how each is configured."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer

from eventbus.kafka.guard import Guard
from eventbus.settings import Settings

log = logging.getLogger("eventbus.kafka")

client_log = logging.getLogger("librdkafka")


def common(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "logger": client_log,
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 30000,
        # A client that learns nothing of the cluster begins again at the addresses above (after 5 min by default).
        "metadata.recovery.rebootstrap.trigger.ms": 2000,
    }


FULL = 1_000_000
"""Bytes of an answer to a fetch that a service which lets its input wait waits for no longer."""


def input_consumer(
    settings: Settings, group: str, on_statistics: Callable[[str], None], wait: float
) -> Consumer:
    """The group's consumer: committed data only, KIP-848 protocol, co-partitioned (range) assignment.

    ``wait``: seconds that what has come may wait at the brokers until more is there; with 0 it comes at once.
    """
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(group),
            "group.protocol": "consumer",
            "group.remote.assignor": "range",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.min.bytes": FULL if wait else 1,
            "fetch.wait.max.ms": int(wait * 1000) or 500,
            "fetch.queue.backoff.ms": 50,
            "queued.max.messages.kbytes": 32768,
            "fetch.message.max.bytes": 2_097_152,
            "max.poll.interval.ms": 300000,
            "statistics.interval.ms": 1000,
            "stats_cb": on_statistics,
        }
    )


def log_consumer(settings: Settings, name: str) -> Consumer:
    """A consumer outside any group, for logs that every replica folds. It never commits."""
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(f"{name}.follow"),
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 500,
            "queued.max.messages.kbytes": 32768,
            "fetch.message.max.bytes": 2_097_152,
        }
    )


def probe_consumer(settings: Settings, group: str, isolation: str) -> Consumer:
    """A consumer that only asks: watermarks, and what the group has committed."""
    return Consumer(
        {
            **common(settings),
            "group.id": settings.topic(group),
            "isolation.level": isolation,
            "enable.auto.commit": False,
            # It does not refresh the metadata of a topic that it does not read. A broker that resumes after a freeze
            # may report for a moment that a partition has no leader; the client would believe that for 90 s.
            "metadata.max.age.ms": 1000,
        }
    )


def transactional_producer(settings: Settings, transactional_id: str) -> Producer:
    """The producer of a slot. ``retry.backoff.ms`` is what back-to-back transactions wait for one another."""
    timeout = int(settings.transaction_timeout * 1000)
    return Producer(
        {
            **common(settings),
            "transactional.id": settings.topic(transactional_id),
            "transaction.timeout.ms": timeout,
            "message.timeout.ms": timeout - 1000,
            "retry.backoff.ms": 2,
            "retry.backoff.max.ms": 50,
            "linger.ms": 0,
            "compression.type": "lz4",
            "message.max.bytes": 10_000_000,
        }
    )


def command_producer(settings: Settings) -> Producer:
    """The producer of single commands: idempotent, durable on all in-sync replicas or an error in time."""
    return Producer(
        {
            **common(settings),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": int(settings.send_timeout * 1000),
            "linger.ms": 0.2,  # the sender gathers; this is for what it hands over at once
            "compression.type": "lz4",
            "message.max.bytes": 2_000_000,
        }
    )


class Clients:
    """Makes the Kafka clients of a processor. The simulator makes others with the same methods."""

    def input(
        self, settings: Settings, group: str, on_statistics: Callable[[str], None], wait: float
    ) -> Consumer:
        return input_consumer(settings, group, on_statistics, wait)

    def log(self, settings: Settings, name: str) -> Consumer:
        return log_consumer(settings, name)

    def probe(self, settings: Settings, group: str, isolation: str) -> Consumer:
        return probe_consumer(settings, group, isolation)

    def producer(self, settings: Settings, transactional_id: str) -> Producer:
        return transactional_producer(settings, transactional_id)

    def guard(self, hears: Callable[[], bool]) -> Guard:
        """How transactional calls are made. ``hears``: whether the brokers answer at this moment."""
        return Guard(hears)
