"""Following: every replica folds all partitions of its service's own logs; leading only decides who writes.

A partition this replica leads is folded by the processor, from memory; all others are read back here. Before anything
is folded, the topic of skips is read to its end: what operators have set aside is no part of any state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Record

from eventbus import metrics
from eventbus.codec import Codec
from eventbus.kafka.clients import Clients
from eventbus.kafka.errors import is_unreadable, passes
from eventbus.kafka.records import after_unreadable, end_of, raw_of
from eventbus.model.errors import NeedsRestart, Poison
from eventbus.model.messages import Envelope
from eventbus.model.places import Partition, Position
from eventbus.model.record import Raw
from eventbus.processing import skips
from eventbus.processing.fold_batch import FoldBatch
from eventbus.processing.memory import give_back
from eventbus.processing.own_log import Doubtful, Foreign, Newer
from eventbus.processing.ports import StateStore
from eventbus.settings import Settings

log = logging.getLogger("eventbus.follower")
SKIPS = Partition(skips.TOPIC, skips.PARTITION)
CHANGED = "other records are skipped now"
MANY = 10_000
"""Records: what folding so many takes of memory is worth giving back."""


class Stop(NamedTuple):
    """The record that stops a partition; what is wrong with it, and what to do."""

    place: Position
    reason: str
    newer: bool = False
    """Whether code that is newer than this may be able to read it."""


class Follower:
    """Reads own logs back and folds them into the store. Lives on the processor's thread."""

    def __init__(
        self,
        settings: Settings,
        service: str,
        codec: Codec,
        store: StateStore,
        clients: Clients,
        partition_of: Callable[[bytes], int],
    ) -> None:
        self._settings, self._codec, self._store = settings, codec, store
        self._service, self._partition_of = service, partition_of
        self._consumer: Consumer = clients.log(settings, service)
        self._probe: Consumer = clients.probe(settings, f"{service}.probe", "read_uncommitted")
        self._next: dict[Partition, int] = {}
        self._folded = 0
        """Records since memory was given back."""
        self._wanted: set[Partition] = set()
        """What is to be followed once the skips are known."""
        self._skips_end: int | None = None
        self._skips_known = False
        self.skips = skips.Skips(codec)
        self.stopped: dict[Partition, Stop] = {}
        """Partitions that a record stops."""

    def follow(self, parts: Iterable[Partition]) -> None:
        """Read these partitions from where the store stands."""
        if not self._skips_known:
            self._wanted.update(parts)
            return
        begun = [p for p in parts if p not in self._next]
        for part in begun:
            self._next[part] = self._store.checkpoint(*part)
        if begun:
            self._consumer.incremental_assign([self._named(part, self._next[part]) for part in begun])

    def leave(self, parts: Iterable[Partition]) -> None:
        """Stop reading these partitions: this replica writes them now."""
        ended = [p for p in parts if p in self._next]
        for part in ended:
            del self._next[part]
        if ended:
            self._consumer.incremental_unassign([self._named(part) for part in ended])

    def _named(self, part: Partition, offset: int | None = None) -> TopicPartition:
        topic = self._settings.topic(part[0])
        return TopicPartition(topic, part[1]) if offset is None else TopicPartition(topic, part[1], offset)

    def end(self, part: Partition) -> int:
        """The offset after the last record of a log, committed or not. Raises KafkaException."""
        return end_of(self._probe, self._settings.topic(part[0]), part[1], timeout=2.0)

    def after_unreadable(self, part: Partition, first: int) -> int:
        """The offset after an unreadable batch that begins at ``first``. Raises KafkaException."""
        return after_unreadable(self._probe, self._settings.topic(part[0]), part[1], first)

    def hears(self) -> bool:
        """Whether the broker that leads an own log answers at this moment, within half a second."""
        try:
            end_of(self._probe, self._settings.topic(next(iter(self._store.deciders))), 0, timeout=0.5)
        except KafkaException:
            return False
        return True

    def position(self, part: Partition) -> int:
        """The offset up to which a followed log is folded; transaction markers count as passed."""
        return self._next[part]

    def positions(self) -> dict[Partition, int]:
        """The partitions followed, each with the offset up to which it is folded."""
        return {part: upto for part, upto in self._next.copy().items() if part != SKIPS}

    def turn(self, timeout: float = 0.0) -> list[Envelope]:
        """Fold what has arrived, in one local transaction; returns the events folded."""
        if not self._skips_known:
            self._read_skips()
            return []
        records = self._consumer.consume(1000, timeout)
        if not records:
            self._caught_up()
            return []
        self._folded += len(records)
        batch = FoldBatch(self._store, self._codec, self._service, self._partition_of)
        reached: dict[Partition, int] = {}
        changed: list[Position] = []
        passed: set[Partition] = set()
        for record in records:
            part, upto = self._reached(record)
            if part not in self._next or part in self.stopped:
                continue
            if record.error() is None:
                raw = raw_of(record, self._settings.topic_prefix)
                try:
                    changed += self._take(raw, batch)
                except Foreign as reason:
                    self._pass_over(raw, str(reason))
                    passed.add(part)
                except Doubtful as reason:
                    self._stop(raw, str(reason), newer=isinstance(reason, Newer))
                    continue
            reached[part] = max(upto, reached.get(part, 0))
        moved = {part: upto for part, upto in reached.items() if upto > self._next[part]}
        if moved:
            checkpoints = {p: upto for p, upto in moved.items() if p != SKIPS}
            self._store.write(batch.folds, batch.events, checkpoints, batch.parked, passed)
            self._next.update(moved)
        for place in changed:
            self._set_aside(place)
        return batch.events

    def _caught_up(self) -> None:
        """Nothing has arrived. After a rebuild, or a long way behind others, the memory that it took goes back."""
        if self._folded >= MANY:
            self._folded = 0
            give_back()

    def _take(self, raw: Raw, batch: FoldBatch) -> list[Position]:
        """Fold one record; returns which records are skipped from now on, or no more. Raises Foreign or Doubtful."""
        if Partition(raw.topic, raw.partition) == SKIPS:
            return self._skip(raw)
        if raw.position in self.skips:
            metrics.SKIPPED.labels(raw.topic).inc()
            log.warning("%s is skipped: an operator set it aside", raw.coordinates)
        else:
            batch.take(raw)
        return []

    def _pass_over(self, raw: Raw, reason: str) -> None:
        metrics.FOREIGN.labels(raw.topic).inc()
        log.error("%s was not written by this service, and is passed over: %s", raw.coordinates, reason)

    def _stop(self, raw: Raw, reason: str, newer: bool) -> None:
        """Fold nothing further of this partition, and do not lead it: what comes next builds on this record."""
        reason = (
            f"task {raw.partition} stands still at {raw.coordinates}: {reason}. If newer code wrote the record, "
            "start that code here. If it is damaged or forged, set it aside: "
            f"eventbus skip {raw.topic} {raw.partition} {raw.offset} --reason '...'"
        )
        self.stopped[Partition(raw.topic, raw.partition)] = Stop(raw.position, reason, newer)
        metrics.STOPPED.labels(self._service).set(len(self.stopped))
        log.critical("%s", reason)

    def _read_skips(self) -> None:
        """Read all there are before anything else; then begin to follow."""
        if self._skips_end is None:
            try:
                self._skips_end = self.end(SKIPS)
            except KafkaException as exception:
                if not passes(exception.args[0]):
                    raise
                log.warning("the skips cannot be read yet: %s", exception.args[0].str())
                return
            self._next[SKIPS] = 0
            self._consumer.incremental_assign([self._named(SKIPS, OFFSET_BEGINNING)])
        for record in self._consumer.consume(1000, 0.0):
            part, upto = self._reached(record)
            if part == SKIPS:
                if record.error() is None:
                    self._skip(raw_of(record, self._settings.topic_prefix))
                self._next[part] = max(upto, self._next[part])
        if self._next[SKIPS] >= self._skips_end:
            for part in self._store.set_aside(self._relevant()):
                log.warning("%s is folded anew, since other records of it are skipped now", part)
            self._skips_known, wanted, self._wanted = True, self._wanted, set()
            self.follow(sorted(wanted))

    def _skip(self, raw: Raw) -> list[Position]:
        """Take one record of the topic of skips. Returns the position that is now skipped, or no longer, if any."""
        try:
            place = self.skips.take(raw)
        except Poison as error:
            self._pass_over(raw, str(error))
            return []
        return [place] if place else []

    def _relevant(self) -> list[Position]:
        """The skips in the logs that are folded here."""
        folded = {part[0] for part in (*self._wanted, *self._next)} | set(self._store.deciders)
        return [place for place in self.skips.places() if place.topic in folded]

    def _set_aside(self, place: Position) -> None:
        """A skip was added or taken back while this replica runs."""
        part = Partition(place.topic, place.partition)
        if place.topic not in {p[0] for p in self._next} | set(self._store.deciders):
            return
        if part not in self._next or place.offset < self._next[part]:
            raise NeedsRestart(f"{CHANGED}: {place} is folded already, so a fresh process folds anew")
        self._store.set_aside(self._relevant())
        if self.stopped.pop(part, None):
            metrics.STOPPED.labels(self._service).set(len(self.stopped))
            self.leave([part])
            self.follow([part])
            log.warning("%s: %s; task %d goes on", place, self.skips.reason(place), place.partition)

    def _reached(self, record: Record) -> tuple[Partition, int]:
        """The partition of a record (or of the event that its end is reached), and the offset read up to then."""
        topic, partition, offset = record.topic(), record.partition(), record.offset()
        error = record.error()
        if error is not None and passes(error):
            log.debug("reading own logs: %s", error.str())
            return Partition("", -1), 0
        if error is not None and error.code() != KafkaError._PARTITION_EOF and not is_unreadable(error):
            raise KafkaException(error)
        assert topic is not None and partition is not None and offset is not None
        part = Partition(topic.removeprefix(self._settings.topic_prefix), partition)
        if error is None:
            return part, offset + 1
        if error.code() == KafkaError._PARTITION_EOF or offset < self._next.get(part, 0):
            return part, offset
        return part, self._after(part, offset, error)

    def _after(self, part: Partition, first: int, error: KafkaError) -> int:
        """Go on behind an unreadable batch. No producer of this system writes one."""
        try:
            after = self.after_unreadable(part, first)
        except KafkaException as exception:
            if not passes(exception.args[0]):
                raise
            return first
        metrics.FOREIGN.labels(part[0]).inc()
        log.error("%s from %d to %d is passed over: %s", part, first, after - 1, error.str())
        self._consumer.seek(self._named(part, after))
        return after

    def close(self) -> None:
        self._consumer.close()
        self._probe.close()
