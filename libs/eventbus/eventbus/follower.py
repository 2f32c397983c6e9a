"""Following: every replica folds all partitions of its service's own logs; leading only decides who writes.

A partition this replica leads is folded by the processor, from memory; all others are read back here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus.codec import Codec, Raw
from eventbus.errors import Poison
from eventbus.folding import Folded, fold
from eventbus.kafka import PASSING, Clients, end_of, raw_of
from eventbus.messages import Envelope
from eventbus.metrics import FOREIGN
from eventbus.ports import States
from eventbus.retry import Parked
from eventbus.settings import Settings

log = logging.getLogger("eventbus.follower")
Part = tuple[str, int]


class Follower:
    """Reads own logs back and folds them into the store. Lives on the processor's thread."""

    def __init__(
        self, settings: Settings, service: str, codec: Codec, store: States, clients: Clients
    ) -> None:
        self._settings, self._codec, self._store = settings, codec, store
        self._consumer: Consumer = clients.log(settings, service)
        self._probe: Consumer = clients.probe(settings, f"{service}.probe", "read_uncommitted")
        self._next: dict[Part, int] = {}

    def follow(self, parts: Iterable[Part]) -> None:
        """Read these partitions from where the store stands."""
        begun = [p for p in parts if p not in self._next]
        for part in begun:
            self._next[part] = self._store.checkpoint(*part)
        if begun:
            self._consumer.incremental_assign(
                [TopicPartition(self._settings.topic(log), i, self._next[log, i]) for log, i in begun]
            )

    def leave(self, parts: Iterable[Part]) -> None:
        """Stop reading these partitions: this replica writes them now."""
        ended = [p for p in parts if p in self._next]
        for part in ended:
            del self._next[part]
        if ended:
            self._consumer.incremental_unassign(
                [TopicPartition(self._settings.topic(log), i) for log, i in ended]
            )

    def end(self, part: Part) -> int:
        """The offset after the last record of a log, committed or not. Raises KafkaException."""
        return end_of(self._probe, self._settings.topic(part[0]), part[1], timeout=2.0)

    def hears(self) -> bool:
        """Whether the broker that leads an own log answers at this moment, within half a second."""
        try:
            end_of(self._probe, self._settings.topic(next(iter(self._store.deciders))), 0, timeout=0.5)
        except KafkaException:
            return False
        return True

    def position(self, part: Part) -> int:
        """The offset up to which a followed log is folded; transaction markers count as passed."""
        return self._next[part]

    def positions(self) -> dict[Part, int]:
        return dict(self._next)

    def turn(self, timeout: float = 0.0) -> list[Envelope]:
        """Fold what has arrived, in one local transaction; returns the events folded."""
        records = self._consumer.consume(1000, timeout)
        if not records:
            return []
        folds: dict[tuple[str, str], tuple[int, Folded[Any]]] = {}
        events: list[Envelope] = []
        reached: dict[Part, int] = {}
        parked: list[tuple[str, Parked]] = []
        for record in records:
            part, upto = self._reached(record)
            if part not in self._next:
                continue
            reached[part] = max(upto, reached.get(part, 0))
            if record.error():
                continue
            raw = raw_of(record, self._settings.topic_prefix)
            if raw.topic not in self._store.deciders:
                parked.extend((raw.topic, waits) for waits in self._parked(raw))
            elif (envelope := self._own(raw)) and self._fold(envelope, folds):
                events.append(envelope)
        moved = {part: upto for part, upto in reached.items() if upto > self._next[part]}
        if moved:
            self._store.write(folds, events, moved, parked)
            self._next.update(moved)
        return events

    def _reached(self, record: Record) -> tuple[Part, int]:
        """Which partition a record (or the note that its end is reached) is of, and up to where that brings us."""
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        error = record.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            assert topic is not None and partition is not None and offset is not None
            part = (topic.removeprefix(self._settings.topic_prefix), partition)
            return part, offset + (error is None)
        if error.code() in PASSING:
            log.debug("reading own logs: %s", error.str())
            return ("", -1), 0
        raise KafkaException(error)

    def _parked(self, raw: Raw) -> list[Parked]:
        """What a record of a retry topic says, if a processor wrote it."""
        try:
            return [Parked.from_record(raw)]
        except (KeyError, ValueError) as error:
            FOREIGN.labels(raw.topic).inc()
            log.error("%s: not a record of a retry topic (%r); skipped", raw.coordinates, error)
            return []

    def _own(self, raw: Raw) -> Envelope | None:
        """The own event in a record. What no processor wrote is none of ours: it is counted and skipped."""
        ours = raw.header("keyversion") is not None and raw.header("cause") is not None
        try:
            if ours:
                return self._codec.decode(raw)
        except Poison as error:
            log.error("%s: not a readable event: %s", raw.coordinates, error)
        FOREIGN.labels(raw.topic).inc()
        log.error("%s: a record that no processor of this service wrote; skipped", raw.coordinates)
        return None

    def _fold(self, envelope: Envelope, folds: dict[tuple[str, str], tuple[int, Folded[Any]]]) -> bool:
        decider = self._store.deciders[envelope.topic]
        key = (envelope.topic, envelope.message.key)
        before = folds[key][1] if key in folds else self._store.load(decider, envelope.message.key)
        after = fold(decider, before, envelope)
        if after is before:
            return False
        folds[key] = (envelope.partition, after)
        return True

    def close(self) -> None:
        self._consumer.close()
        self._probe.close()
