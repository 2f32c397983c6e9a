"""Hostile records as a fault: bursts of a bounded mix, written during the load, and what they led to."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

from eventbus.model.places import Position
from verification.audit.judge import AuditResult
from verification.chaos.cluster import PARTITIONS, ChaosCluster
from verification.hostile import consequences
from verification.hostile.aside import set_aside
from verification.hostile.catalogue import FAMILIES, HEAVY, Catalogue
from verification.hostile.record import Hostile
from verification.hostile.writing import Writer

EACH = 2
"""Topics that one burst writes each kind to; of heavy kinds one."""


@dataclass
class HostileResult:
    """What was written and what it led to. ``named``: the records that the audit reported, now set aside."""

    written: dict[Position, Hostile] = field(default_factory=dict)
    refused: int = 0
    consequences: Counter[str] = field(default_factory=Counter)
    named: list[Position] = field(default_factory=list)

    def wrote(self, place: str) -> bool:
        """Whether a hostile record stands, or stood, at topic-partition-offset."""
        return place in self._places

    def __post_init__(self) -> None:
        self._places = {str(place) for place in self.written}


class HostileBursts:
    """Writes bursts, each on a thread of its own, so that a broker that is away does not delay the other faults."""

    def __init__(self, chaos: ChaosCluster, seed: str) -> None:
        self._chaos, self._dice = chaos, random.Random(f"hostile {seed}")
        self._catalogue = Catalogue(PARTITIONS)
        self._writers: list[Writer] = []
        self._threads: list[threading.Thread] = []

    def write_burst(self) -> None:
        """Start writing one burst."""
        writer = Writer(self._chaos.kafka)
        self._writers.append(writer)
        # a generator, so that the records are made on that thread too
        thread = threading.Thread(target=writer.write, args=[self._burst()], name="hostile", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _burst(self) -> Iterator[Hostile]:
        """Every kind, in some of the topics where it makes sense; the topics take turns."""
        for family in FAMILIES:
            topics = cycle(self._dice.sample(family.topics, len(family.topics)))
            for kind in family.kinds:
                for _ in range(1 if kind in HEAVY else EACH):
                    yield self._catalogue.make(family, kind, next(topics))

    def end(self) -> HostileResult:
        """Wait for the last burst; returns what all of them led to."""
        for thread in self._threads:
            thread.join()
        written = {place: record for writer in self._writers for place, record in writer.written.items()}
        refused = sum(len(writer.refused) for writer in self._writers)
        found = consequences.read(self._chaos.kafka, written.keys()) if written else None
        return HostileResult(written, refused, found.count(written) if found else Counter())


def set_aside_named(chaos: ChaosCluster, hostile: HostileResult, verdict: AuditResult) -> bool:
    """Set aside the hostile records that the audit names, as an operator would; returns whether there were any."""
    named = {violation.where for violation in verdict.violations if hostile.wrote(violation.where)}
    hostile.named = [Position.parse(where) for where in sorted(named)]
    set_aside(chaos.kafka, hostile.named, "written by chaos")
    return bool(hostile.named)
