"""The topics of services, as their deciders imply them, and their creation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventbus.kafka.clients import common
from eventbus.model.decider import Decider
from eventbus.model.errors import Unavailable
from eventbus.model.mirror import Mirror
from eventbus.model.rules import LOG, has_one_writer
from eventbus.settings import Settings

DAYS_30 = str(30 * 24 * 3600 * 1000)
COMMAND_BYTES, EVENT_BYTES, LETTER_BYTES = "2000000", "5000000", "9000000"
TIMEOUT = 20.0
"""Seconds for the brokers to have made a topic."""


@dataclass(frozen=True)
class Topic:
    """A topic's name and what differs from the cluster's defaults."""

    name: str
    config: dict[str, str]
    partitions: int | None = None
    """None: as many as the other topics have."""

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


def topics_of(
    service: str, deciders: Iterable[Decider[Any]], mirrors: Iterable[Mirror] = ()
) -> tuple[Topic, ...]:
    """The topics that a service needs and no other makes, and ``SKIPS``, which all share.

    They are its event logs and their mirrors, the topics in which commands and answers reach it, and three for what
    fails. A topic is an event log if its name ends in ``.events``, and a mirror if that is followed by a version
    (``.events.v1``); those that others write are theirs to make.
    Raises ValueError for an own log with another name: who reads it would make it as a topic of commands.
    """
    deciders = tuple(deciders)
    logs = [decider.log for decider in deciders]
    for log in logs:
        if not log.endswith(LOG):
            raise ValueError(f"{service} writes the log {log}: the name of an event log ends in {LOG}")
    read = [message.topic for decider in deciders for message in decider.inputs]
    found = (
        *(Topic.log(name) for name in (*logs, *(mirror.topic for mirror in mirrors))),
        *(Topic.passing(name) for name in read if not has_one_writer(name)),
        Topic.waiting(f"{service}.retry"),
        Topic.letters(f"{service}.dlq"),
        Topic.passing(f"{service}.admin"),
        SKIPS,
    )
    return tuple({topic.name: topic for topic in found}.values())


def create(settings: Settings, topics: Sequence[Topic], beside: Iterable[str] = ()) -> list[str]:
    """Create the topics that do not exist; returns their names.

    They get as many partitions as those of them, and of ``beside``, that exist: services read them together. Where
    none exists, or these do not agree, the setting says how many. Raises Unavailable.
    """
    admin = AdminClient(common(settings))
    together = {topic.name for topic in topics if topic.partitions is None}.union(beside)
    count = _partitions(admin, settings, together) or settings.partitions
    wanted = [
        NewTopic(settings.topic(t.name), t.partitions or count, settings.replication_factor, config=t.config)
        for t in topics
    ]
    created = []
    for name, future in admin.create_topics(
        wanted, operation_timeout=TIMEOUT, request_timeout=1.5 * TIMEOUT
    ).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as exception:
            if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                reason = exception.args[0].str()
                raise Unavailable(
                    f"topic {name} was not created at {settings.bootstrap_servers}: {reason}"
                ) from exception
    return created


def _partitions(admin: AdminClient, settings: Settings, names: Iterable[str]) -> int | None:
    """How many partitions those of the topics have that exist; None if none does, or if they do not agree."""
    try:
        found = admin.list_topics(timeout=TIMEOUT).topics
    except KafkaException as exception:
        reason = exception.args[0].str()
        raise Unavailable(
            f"no answer from the brokers at {settings.bootstrap_servers}: {reason}"
        ) from exception
    counts = {len(found[name].partitions) for name in map(settings.topic, names) if name in found} - {0}
    return counts.pop() if len(counts) == 1 else None
