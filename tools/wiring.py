"""The services of the registry as Python objects: what their topics are, and what reads their messages."""

from __future__ import annotations

from collections.abc import Iterable

from eventbus.cli.creation import load, topics_of_all
from eventbus.codec import Codec
from eventbus.kafka.topics import Topic
from tools.registry import SCHEMAS, STARTED, Service


def topics(services: Iterable[Service] = STARTED) -> tuple[Topic, ...]:
    """The topics of these services, of each as its deciders imply them. Its ``service()`` reads the environment."""
    return topics_of_all(load(service.wiring) for service in services)


def codec() -> Codec:
    """Reads the messages of every service in the registry, whether it is started or not."""
    return Codec(*SCHEMAS)
