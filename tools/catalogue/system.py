"""The system as its services declare it: topics, messages with all their versions, writers and readers."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import eventbus
from eventbus import Decider, Message
from eventbus.cli.creation import load
from eventbus.codec import OPERATION, Codec
from eventbus.kafka.topics import SKIPS, Topic, topics_of
from eventbus.schema_package import SchemaPackage
from tools import registry
from tools.catalogue.contract import Contract, Release, contracts_of

OPERATORS = "operators"
"""Who writes what redrives, discards or skips: people, with the ``eventbus`` command."""
V1_TOPICS = "EVENTBUS_V1_TOPICS"
"""The setting that switches mirrors in version 1 on."""
ADMIN = "admin"
"""The topic in the schemas of commands that operators give a service; it is ``<service>.admin`` in Kafka."""
KINDS = ("retry", "dlq", ADMIN)
"""The topics that each service has for what fails."""


@dataclass(frozen=True, order=True)
class Party:
    """Who writes or reads a message: a decider (by its log), the HTTP interface of a service, or operators."""

    service: str
    log: str = ""
    """Empty for an HTTP interface and for operators."""


@dataclass(frozen=True)
class Wired:
    """A service as the registry and its own ``service()`` describe it."""

    entry: registry.Service
    service: eventbus.Service
    purpose: str
    """What it does, in a sentence."""

    @property
    def name(self) -> str:
        return self.entry.name

    def declared(self) -> list[type[Message]]:
        """The messages that its deciders take and send, and those that its HTTP interface sends."""
        taken = [cls for decider in self.service.deciders for cls in (*decider.inputs, *decider.sends)]
        return [*taken, *self.service.sends]

    def parties(self) -> Iterator[tuple[Party, Decider[Any]]]:
        """Its deciders, each with what it is called among the writers and readers."""
        for decider in self.service.deciders:
            yield Party(self.name, decider.log), decider


@dataclass(frozen=True)
class MirrorTopic:
    """A topic that repeats events of a log in an older version: what it carries, and who writes it."""

    name: str
    log: str
    service: str
    releases: tuple[Release, ...]


@dataclass(frozen=True)
class System:
    """All services of the registry. Raises ValueError if their declarations contradict each other."""

    services: tuple[Wired, ...]
    contracts: tuple[Contract, ...]
    topics: Mapping[str, Topic] = field(repr=False)

    @classmethod
    def load(cls, entries: Iterable[registry.Service] = registry.SERVICES) -> System:
        """The system of these services, wired with their default settings."""
        entries = tuple(entries)
        with _default_settings(entries):
            services = tuple(_wired(entry) for entry in entries)
        packages = list(dict.fromkeys((*(p for entry in entries for p in entry.schemas), OPERATION)))
        codec = Codec(*packages)  # raises if two packages claim one message or one id
        for wired in services:
            codec.check_knows(wired.declared(), wired.name)
        contracts = tuple(
            contract for name in packages for contract in contracts_of(SchemaPackage.load(name))
        )
        system = cls(services, contracts, _topics(services))
        for contract in contracts:
            if contract.cls.topic != ADMIN and contract.cls.topic not in system.topics:
                raise ValueError(
                    f"{contract.latest.path}: no service of the registry writes or reads this topic"
                )
        return system

    @cached_property
    def flow(self) -> tuple[Topic, ...]:
        """The topics that carry the services' messages, in the order of the services; mirrors are not among them."""
        beside = {f"{wired.name}.{kind}" for wired in self.services for kind in KINDS} | {SKIPS.name}
        beside |= {mirror.name for mirror in self.mirrors}
        return tuple(topic for name, topic in self.topics.items() if name not in beside)

    def carried(self, topic: str) -> tuple[Contract, ...]:
        """The messages of a topic, by name."""
        home = ADMIN if topic.endswith(f".{ADMIN}") else topic
        return tuple(sorted((c for c in self.contracts if c.cls.topic == home), key=lambda c: c.name))

    @cached_property
    def mirrors(self) -> tuple[MirrorTopic, ...]:
        """The topics that repeat events of a log in an older version."""
        found: dict[str, MirrorTopic] = {}
        for wired in self.services:
            for mirror in wired.service.mirrors:
                contract = next(contract for contract in self.contracts if contract.cls is mirror.event)
                release = next(r for r in contract.releases if str(r.version) == mirror.version)
                before = found.get(mirror.topic)
                releases = (*(before.releases if before else ()), release)
                found[mirror.topic] = MirrorTopic(mirror.topic, mirror.event.topic, wired.name, releases)
        return tuple(found.values())

    def writers(self, contract: Contract) -> list[Party]:
        """Who writes a message, by declaration. Anybody may send a command beside."""
        if contract.cls.__module__.startswith(OPERATION):
            return [Party(OPERATORS)]
        found = []
        for wired in self.services:
            if contract.cls in wired.service.sends:
                found.append(Party(wired.name))
            found += [p for p, d in wired.parties() if contract.cls.topic == d.log or contract.cls in d.sends]
        return found

    def readers(self, contract: Contract) -> list[Party]:
        """The deciders that take a message."""
        return [p for wired in self.services for p, d in wired.parties() if contract.cls in d.inputs]

    def topic_writers(self, topic: str) -> list[Party]:
        """Who writes to a topic of the flow."""
        return list(dict.fromkeys(party for c in self.carried(topic) for party in self.writers(c)))

    def topic_readers(self, topic: str) -> list[Party]:
        """Who reads a topic of the flow."""
        return list(dict.fromkeys(party for c in self.carried(topic) for party in self.readers(c)))


def _wired(entry: registry.Service) -> Wired:
    service = load(entry.wiring)
    logs = tuple(decider.log for decider in service.deciders)
    if (service.name, set(logs)) != (entry.name, set(entry.logs)):
        raise ValueError(
            f"services.toml, [{entry.name}]: its service() is named {service.name} and writes {', '.join(logs)}, "
            f"but logs says {', '.join(entry.logs)}"
        )
    words = " ".join((importlib.import_module(entry.package).__doc__ or "").partition("\n\n")[0].split())
    purpose = re.sub(rf"^{entry.name}: ", "", words, flags=re.IGNORECASE)
    return Wired(entry, service, purpose[:1].upper() + purpose[1:])


def _topics(services: Iterable[Wired]) -> dict[str, Topic]:
    """Those that the services make, then those of others that they read or write, then that of skips."""
    made: dict[str, Topic] = {}
    others: dict[str, Topic] = {}
    for wired in services:
        found = topics_of(wired.name, wired.service.deciders, wired.service.mirrors)
        made |= {topic.name: topic for topic in found}
        others |= {cls.topic: Topic(cls.topic, {}) for cls in wired.declared()}
    skips = made.pop(SKIPS.name, SKIPS)
    return {**made, **{name: topic for name, topic in others.items() if name not in made}, skips.name: skips}


@contextmanager
def _default_settings(entries: Iterable[registry.Service]) -> Iterator[None]:
    """What is wired now reads no setting of this environment: a document is the same on every machine.

    The topics of version 1 are switched on, since the documents show them.
    """
    prefixes = ("EVENTBUS_", *(f"{entry.name.upper()}_" for entry in entries))
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(prefixes):
            del os.environ[name]
    os.environ[V1_TOPICS] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
