"""The topics of the system, and ``python -m eventbus.kafka.topics``, which creates what is missing."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventbus.kafka.clients import common
from eventbus.settings import Settings

DAYS_30 = str(30 * 24 * 3600 * 1000)
COMMAND_BYTES, EVENT_BYTES, LETTER_BYTES = "2000000", "5000000", "9000000"


@dataclass(frozen=True)
class Topic:
    """A topic's name and what differs from the cluster's defaults."""

    name: str
    config: dict[str, str]
    partitions: int | None = None
    """As many as everywhere, if None."""

    @classmethod
    def log(cls, name: str) -> Topic:
        """An event log: kept for ever."""
        return cls(name, {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": EVENT_BYTES})

    @classmethod
    def passing(cls, name: str) -> Topic:
        """Commands and answers: kept 30 days."""
        return cls(name, {"retention.ms": DAYS_30, "max.message.bytes": COMMAND_BYTES})

    @classmethod
    def letters(cls, name: str) -> Topic:
        """Dead letters: kept for ever, and larger than anything that may end there."""
        return cls(name, {"retention.ms": "-1", "max.message.bytes": LETTER_BYTES})

    @classmethod
    def waiting(cls, name: str) -> Topic:
        """Messages that wait for their next attempt: the last record of each is kept."""
        return cls(name, {"cleanup.policy": "compact", "max.message.bytes": LETTER_BYTES})


SKIPS = Topic("eventbus.skips", {"cleanup.policy": "compact", "max.message.bytes": COMMAND_BYTES}, 1)
"""Records that operators have set aside, for all services: see eventbus.processing.skips."""


def beside(service: str) -> tuple[Topic, ...]:
    """The topics each service has for what fails."""
    return (
        Topic.waiting(f"{service}.retry"),
        Topic.letters(f"{service}.dlq"),
        Topic.passing(f"{service}.admin"),
    )


def of_service(service: str) -> tuple[Topic, ...]:
    """The topics of a service with one decider: its log, and those for what fails."""
    return (Topic.log(f"{service}.events"), *beside(service))


TOPICS = (
    Topic.passing("order.commands"),
    Topic.log("order.events"),
    *beside("order"),
    Topic.log("payment.events"),
    *beside("payment"),
    Topic.log("inventory.events"),
    Topic.passing("inventory.answers"),
    Topic.passing("stock.commands"),
    Topic.log("stock.events"),
    *beside("inventory"),
    Topic.log("notification.events"),
    *beside("notification"),
    SKIPS,
)


def create(settings: Settings, topics: tuple[Topic, ...] = TOPICS) -> list[str]:
    """Create the topics that do not exist; returns their names. Raises KafkaException."""
    admin = AdminClient(common(settings))
    wanted = [
        NewTopic(
            settings.topic(t.name),
            t.partitions or settings.partitions,
            settings.replication_factor,
            config=t.config,
        )
        for t in topics
    ]
    created = []
    for name, future in admin.create_topics(wanted, operation_timeout=20.0, request_timeout=30.0).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as exception:
            if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def main() -> None:
    """Create what is missing and say so; arguments are the names of further services."""
    settings = Settings()
    extra = tuple(topic for service in sys.argv[1:] for topic in of_service(service))
    try:
        created = create(settings, TOPICS + extra)
    except KafkaException as exception:
        sys.exit(f"topics not created at {settings.bootstrap_servers}: {exception.args[0].str()}")
    print(f"{len(created)} topics created, {len(TOPICS + extra) - len(created)} were there")


if __name__ == "__main__":
    main()
