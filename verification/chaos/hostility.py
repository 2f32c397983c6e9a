"""Hostile records as a fault: bursts of a bounded mix, written beside the load, and what became of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

from eventbus.model.places import Position
from verification.audit.judge import Verdict
from verification.chaos.site import PARTITIONS, Site
from verification.hostile import fates
from verification.hostile.aside import set_aside
from verification.hostile.catalogue import FAMILIES, HEAVY, Catalogue
from verification.hostile.record import Hostile
from verification.hostile.writing import Writer

EACH = 2
"""Topics that one burst writes each kind to; of heavy kinds one."""


@dataclass
class Hostilities:
    """What was written and what it led to. ``named``: what the audit found fault with until it was set aside."""

    written: dict[Position, Hostile] = field(default_factory=dict)
    refused: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    named: list[Position] = field(default_factory=list)

    def wrote(self, place: str) -> bool:
        """Whether a hostile record stands, or stood, at topic-partition-offset."""
        return place in self._places

    def __post_init__(self) -> None:
        self._places = {str(place) for place in self.written}


class Hostility:
    """Writes bursts, each on a thread of its own: a broker that is away must not hold up what else is planned."""

    def __init__(self, site: Site, seed: str) -> None:
        self._site, self._dice = site, random.Random(f"hostile {seed}")
        self._catalogue = Catalogue(PARTITIONS)
        self._writers: list[Writer] = []
        self._threads: list[threading.Thread] = []

    def strike(self) -> None:
        """Begin to write one burst."""
        writer = Writer(self._site.kafka)
        self._writers.append(writer)
        # a generator, so that the thread makes the records too
        thread = threading.Thread(target=writer.write, args=[self._burst()], name="hostile", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _burst(self) -> Iterator[Hostile]:
        """Every kind in some of the topics where it makes sense; every topic has its share."""
        for family in FAMILIES:
            topics = cycle(self._dice.sample(family.topics, len(family.topics)))
            for kind in family.kinds:
                for _ in range(1 if kind in HEAVY else EACH):
                    yield self._catalogue.make(family, kind, next(topics))

    def end(self) -> Hostilities:
        """Wait for the last burst, and tell what became of all."""
        for thread in self._threads:
            thread.join()
        written = {place: record for writer in self._writers for place, record in writer.written.items()}
        refused = sum(len(writer.refused) for writer in self._writers)
        found = fates.read(self._site.kafka, written.keys()) if written else None
        return Hostilities(written, refused, found.count(written) if found else Counter())


def lay_aside(site: Site, told: Hostilities, verdict: Verdict) -> bool:
    """What the audit names of the hostile records is set aside, as an operator would; whether there was any."""
    named = {violation.where for violation in verdict.violations if told.wrote(violation.where)}
    told.named = [Position.parse(where) for where in sorted(named)]
    set_aside(site.kafka, told.named, "written by chaos")
    return bool(told.named)
