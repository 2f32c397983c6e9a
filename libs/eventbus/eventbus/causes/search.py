"""Finds all records that have to do with a key: its own, whatever they led to, and the chain of causes above them.

A record names its cause, never its effects. So effects are looked for where they can stand:

1. Records of the key are read in its partition of every topic, in the times that the question names, and from where
   services have not decided yet; of retry and dead letter topics in every partition.
2. What a decision writes is written at once, in one transaction. So around each output found, all partitions are read
   for two seconds: there stand the outputs with other keys, such as commands about products.
3. Answers to a record carry its key, or stand beside one that does. They are read from its time on, further and
   further, until each service that reads its topic has answered it, or has answered a later record of its partition.
4. Retry and dead letter topics are read to their ends, since a message may wait there for long.
5. A cause that was not met is read at its position.

The steps from 2 on repeat until they find nothing more. What came of one message from outside has one correlation id.
So a record that comes before its cause is kept if it has the correlation id of one that was found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eventbus.causes.demand import AFTER, ASKED_FOR, FURTHER, Demand
from eventbus.causes.links import LETTERS, RETRY, SKIPS, Link, NameOf, link_of, services_of
from eventbus.causes.source import Exhausted, Source
from eventbus.causes.spans import Span
from eventbus.kafka.records import partition_of
from eventbus.model.places import UNWRITTEN, Partition, Position
from eventbus.model.record import Raw

RESETS = 3
"""How often everything is read again because a record has a correlation id of its own."""
UNKNOWN = 20_000
"""Records kept whose cause is not known yet."""
NOT_WRITTEN = f"{UNWRITTEN}-".encode()
"""Stands in the cause of an event that names the record which led to it as the id of its cause."""


@dataclass(frozen=True)
class Budget:
    """What one search may take."""

    records: int
    """Records that are read."""
    found: int = 50_000
    """Records that are found: the largest order leads to a third of that."""


@dataclass
class Found:
    """What a search has found, by position. ``why_not_all`` is empty if that is all there is."""

    links: dict[Position, Link] = field(default_factory=dict)
    above: dict[Position, Link] = field(default_factory=dict)
    """Causes of these that are about another key, up to the first."""
    waits_for: dict[Position, tuple[str, ...]] = field(default_factory=dict)
    """The services that have not decided a record yet."""
    topics: Mapping[str, int] = field(default_factory=dict)
    """How many partitions each topic has."""
    read: int = 0
    why_not_all: str = ""


class Search:
    """One search for one key. Not for use by several threads."""

    def __init__(self, source: Source, key: bytes, name_of: NameOf, now: int, budget: Budget) -> None:
        self._source, self._key, self._name_of, self._now = source, key, name_of, now
        self._budget = budget
        self._found = Found()
        self._correlations: set[bytes] = set()
        self._places: set[bytes] = set()
        """Where the records stand that were found, as others name them."""
        self._unknown: defaultdict[Position, list[Link]] = defaultdict(list)
        self._unknown_count = 0
        self._fresh: list[Link] = []
        self._reach: dict[Position, int] = {}
        self._answered_by: defaultdict[Position, set[str]] = defaultdict(set)
        self._past: dict[tuple[bytes, bytes], int] = {}
        """By the source of events and the partition of an input, the offset of the latest record they answer."""
        self._decided: dict[str, dict[Partition, int]] = {}
        self._looked_up: set[Position] = set()

    def run(self, spans: Sequence[Span]) -> Found:
        """Search; ``spans`` are the times of which records of the key itself are read. Raises Unavailable."""
        try:
            self._found.topics = topics = self._source.topics()
            self._services = services_of(topics)
            self._demand = Demand(topics, self._now)
            self._demand.everywhere(self._key, spans)
            self._read(only=self._key)
            self._read_undecided(topics)
            self._demand.forget()
            self._repeat()
        except Exhausted as limit:
            self._found.why_not_all = str(limit)
        self._found.waits_for = self._waiting()
        return self._found

    def _repeat(self) -> None:
        known, resets = len(self._correlations), RESETS
        while self._fresh or self._reach:
            if len(self._correlations) > known and resets:
                # What has this correlation id was passed over until now.
                known, resets = len(self._correlations), resets - 1
                self._demand.forget()
                self._fresh = list(self._found.links.values())
            fresh, self._fresh = self._fresh, []
            for link in fresh:
                self._ask_about(link)
            self._ask_for_answers()
            self._read()
            self._look_up()

    def _read(self, only: bytes | None = None) -> None:
        for spans in self._demand.passes():
            self._source.read(spans, self._take, only)

    def _read_undecided(self, topics: Mapping[str, int]) -> None:
        """Records of the key that no event tells of yet."""
        places = [Partition(topic, partition_of(self._key, count)) for topic, count in topics.items()]
        starts: dict[Partition, int] = {}
        for service in self._services:
            for place, offset in self._source.decided(service, places).items():
                starts[place] = min(offset, starts.get(place, offset))
        self._source.read_from(starts, self._take, self._key)

    # What is read

    def _take(self, raw: Raw) -> None:
        self._found.read += 1
        if self._found.read > self._budget.records:
            raise Exhausted(f"{self._budget.records} records were read")
        if raw.topic == SKIPS or raw.topic.endswith((RETRY, LETTERS)):
            self._sort(link_of(raw, self._name_of))
            return
        # Most records are about other keys, so their headers are compared as they came.
        named = raw.named
        cause = named.get("cause", named.get("ce_cause"))
        if cause and NOT_WRITTEN in cause:
            cause = named.get("ce_causationid")
        if cause:
            self._note_progress(named.get("ce_source", b""), cause)
        correlation = named.get("correlationid", named.get("ce_correlationid"))
        if raw.key == self._key or cause in self._places or correlation in self._correlations:
            self._sort(link_of(raw, self._name_of))

    def _note_progress(self, source: bytes, cause: bytes) -> None:
        partition, _, offset = cause.rpartition(b"-")
        if offset.isdigit() and len(offset) < 19:
            self._past[source, partition] = max(int(offset), self._past.get((source, partition), -1))

    def _sort(self, link: Link) -> None:
        if link.position in self._found.links:
            return
        if link.key == self._key or link.cause in self._found.links:
            self._add(link)
        elif link.cause and (link.correlation.encode() in self._correlations or link.position.topic == SKIPS):
            if self._unknown_count >= UNKNOWN:
                raise Exhausted(
                    f"{UNKNOWN} records have the same correlation id and causes that were not found yet"
                )
            self._unknown[link.cause].append(link)
            self._unknown_count += 1

    def _add(self, link: Link) -> None:
        """Add a record, and those that name it as their cause and came before it."""
        waiting = [link]
        while waiting:
            link = waiting.pop()
            if link.position in self._found.links:
                continue
            if len(self._found.links) >= self._budget.found:
                raise Exhausted(f"{self._budget.found} records were found")
            self._found.links[link.position] = link
            self._found.above.pop(link.position, None)
            self._fresh.append(link)
            self._correlations.add(link.correlation.encode())
            self._places.add(str(link.position).encode())
            if link.cause and not link.failure:
                self._answered_by[link.cause].add(link.service)
            known = self._unknown.pop(link.position, [])
            self._unknown_count -= len(known)
            waiting += known

    # What is to be read

    def _ask_about(self, link: Link) -> None:
        self._demand.of_failures(link)
        if link.failure is not None:
            if link.failure.led_to:
                self._demand.beside(link, ASKED_FOR)
            return
        if link.cause is not None:
            self._demand.beside(link)
        self._reach[link.position] = 0

    def _ask_for_answers(self) -> None:
        """Read further behind what is neither answered nor passed by a service that has decided it."""
        self._ask_how_far_services_are()
        for position, reach in list(self._reach.items()):
            link = self._found.links[position]
            if reach and self._needs_no_more(link, reach):
                del self._reach[position]
            else:
                self._reach[position] = reach * FURTHER or AFTER
                self._demand.of_answers(link, self._reach[position])

    def _needs_no_more(self, link: Link, reach: int) -> bool:
        """Whether the answers to a record are found, as far as there are any."""
        return link.written + reach >= self._now or all(
            self._is_done(service, link.position) for service in self._services
        )

    def _ask_how_far_services_are(self) -> None:
        asked = {Partition(*position[:2]) for position in self._reach}
        for service in self._services if asked else ():
            self._decided.setdefault(service, {}).update(self._source.decided(service, asked))

    def _is_done(self, service: str, position: Position) -> bool:
        """Whether more reading finds no answer of this service to a record."""
        partition = Partition(*position[:2])
        return (
            self._decided[service].get(partition, -1) <= position.offset
            or service in self._answered_by[position]
            or self._past.get((f"/{service}".encode(), str(partition).encode()), -1) > position.offset
        )

    def _waiting(self) -> dict[Position, tuple[str, ...]]:
        found: dict[Position, tuple[str, ...]] = {}
        for position, link in self._found.links.items():
            partition = Partition(*position[:2])
            services = tuple(
                service
                for service, known in self._decided.items()
                if 0 <= known.get(partition, -1) <= position.offset
            )
            if services and not link.failure:
                found[position] = services
        return found

    # Causes that were not met

    def _look_up(self) -> None:
        """Read the causes that were not met at their positions, up to the first."""
        while (
            missing := {
                link.cause
                for links in (self._found.links, self._found.above)
                for link in links.values()
                if link.cause and link.cause not in self._found.links and link.cause not in self._found.above
            }
            - self._looked_up
        ):
            self._looked_up |= missing
            for position, raw in self._source.at(missing).items():
                self._found.above[position] = link_of(raw, self._name_of)
            self._join()

    def _join(self) -> None:
        """What was read as a cause is found as an effect too, if a record that was found led to it."""
        joined = True
        while joined:
            joined = False
            for link in list(self._found.above.values()):
                if link.key == self._key or link.cause in self._found.links:
                    self._add(link)
                    joined = True
