"""``eventbus topics create``: make the topics that services need, as their deciders imply them."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterable

from eventbus.cli.ending import CommandError, Exit
from eventbus.kafka.topics import Topic, create, topics_of
from eventbus.model.errors import Unavailable
from eventbus.service.definition import Service
from eventbus.settings import Settings


def create_topics(imports: Iterable[str]) -> None:
    """Create what is missing of the topics of the services at ``imports``, and say so. Raises CommandError."""
    services = [load(name) for name in imports]
    topics = topics_of_all(services)
    settings = Settings()
    # What the client has to say about brokers out of reach, the sentence below says better.
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
    try:
        created = create(settings, topics, {name for service in services for name in service.topics()})
    except Unavailable as error:
        raise CommandError(
            Exit.AWAY, f"{error}. Does Kafka run there (EVENTBUS_BOOTSTRAP_SERVERS)?"
        ) from error
    print(f"{len(created)} topics created, {len(topics) - len(created)} were there")


def topics_of_all(services: Iterable[Service]) -> tuple[Topic, ...]:
    """The topics of several services, each topic once. Raises CommandError for a log that is not named as one."""
    found: dict[str, Topic] = {}
    for service in services:
        try:
            found |= {
                topic.name: topic for topic in topics_of(service.name, service.deciders, service.mirrors)
            }
        except ValueError as error:
            raise CommandError(Exit.USAGE, f"{error}.") from error
    return tuple(found.values())


def load(text: str) -> Service:
    """The service at ``package.module:attribute``: a Service, or a function without arguments that returns one.

    Raises CommandError if there is none, or if it cannot be imported or made.
    """
    name, _, attribute = text.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in name.split("."))):
        raise CommandError(Exit.USAGE, f"{text} names no service: give package.module:attribute.")
    if "" not in sys.path:  # a console script has its own folder there instead of the current one
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The one that was asked for, a package above it, or one that it imports.
        raise CommandError(Exit.USAGE, f"{text}: there is no module {error.name}.") from error
    except Exception as error:
        raise CommandError(
            Exit.USAGE, f"{text}: importing {name} failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, attribute):
        raise CommandError(Exit.USAGE, f"{text}: {name} has no attribute {attribute}.")
    found = getattr(module, attribute)
    if callable(found) and not isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise CommandError(
                Exit.USAGE, f"{text}: calling {attribute}() failed: {type(error).__name__}: {error}"
            ) from error
    if not isinstance(found, Service):
        raise CommandError(
            Exit.USAGE,
            f"{text} is {type(found).__name__}, not a Service or a function without arguments that returns one.",
        )
    return found
