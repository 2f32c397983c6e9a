"""Kafka in memory: partitions, transactions and their markers, as a client with `read_committed` sees them.

A transaction's records stand in the log from when they are produced, unseen until its marker is written; a marker
takes an offset of its own. Commit is two things, as in Kafka: it is *decided* at once, and each partition learns of
it a moment later. Sources: KIP-98 (transactions), KIP-447 (offsets fenced by the group's member epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from confluent_kafka import KafkaError, KafkaException

from eventbus.model.record import Headers, Raw
from verification.sim.clock import Clock
from verification.sim.groups import Group, Place

TRANSACTION_TIMEOUT = 5_000
"""Ms after which an open transaction is aborted and its producer fenced."""


@dataclass(slots=True)
class Stored:
    """A record in a log. ``visible``: its transaction has committed here, or it had none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    time: int
    visible: bool

    def raw(self) -> Raw:
        return Raw(self.topic, self.partition, self.offset, self.key, self.value, self.headers, self.time)


class Log:
    """One partition. ``records[offset]`` is None where a marker stands or compaction has passed."""

    def __init__(self) -> None:
        self.records: list[Stored | None] = []
        self.open: dict[int, int] = {}
        """By number of an undecided transaction, its first offset here."""

    @property
    def end(self) -> int:
        return len(self.records)

    @property
    def stable(self) -> int:
        """The last stable offset: up to there `read_committed` reads."""
        return min(self.open.values()) if self.open else len(self.records)

    def visible(self) -> Iterable[Stored]:
        return (r for r in self.records[: self.stable] if r is not None and r.visible)


@dataclass(eq=False)
class Transaction:
    """``offsets``: by group and input partition. ``decided`` is None while it is open."""

    number: int
    producer: str
    records: list[Stored] = field(default_factory=list)
    offsets: dict[str, dict[Place, int]] = field(default_factory=dict)
    decided: bool | None = None
    unmarked: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Producer:
    """What the coordinator knows of a transactional id."""

    epoch: int = 0
    current: Transaction | None = None


def failure(
    code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    return KafkaException(KafkaError(code, None, fatal, retriable, abort))


class Broker:
    """All topics, all groups, all transactional producers. ``changed`` hears which partition shows something new."""

    def __init__(self, clock: Clock, dice: Random, changed: Callable[[str, int], None]) -> None:
        self._clock, self._dice, self._changed = clock, dice, changed
        self.logs: dict[Place, Log] = {}
        self.groups: dict[str, Group] = {}
        self.producers: dict[str, Producer] = {}
        self.committed: list[Transaction] = []
        """Every transaction that committed, in that order."""
        self.slow_markers = 0.0
        """The share of transactions whose partitions learn of the end only later."""
        self.on_commit: Callable[[Transaction], None] = lambda transaction: None
        self._numbers = 0

    def log(self, topic: str, partition: int) -> Log:
        place = (topic, partition)
        if place not in self.logs:
            self.logs[place] = Log()
        return self.logs[place]

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        visible: bool,
    ) -> Stored:
        log = self.log(topic, partition)
        stored = Stored(topic, partition, log.end, key, value, headers, self._clock.now, visible)
        log.records.append(stored)
        if visible:
            self._changed(topic, partition)
        return stored

    def introduce(self, name: str) -> int:
        """A producer begins: what its predecessor left open is aborted. Returns its epoch."""
        known = self.producers.setdefault(name, Producer())
        if known.current and known.current.decided is None:
            self._end(known.current, False)
        self._write_markers(known.current)
        known.epoch, known.current = known.epoch + 1, None
        return known.epoch

    def begin(self, name: str, epoch: int) -> Transaction:
        known = self._current(name, epoch)
        self._write_markers(known.current)
        self._numbers += 1
        transaction = known.current = Transaction(self._numbers, name)

        def expire() -> None:
            if transaction.decided is None:
                known.epoch += 1
                self._end(transaction, False)

        self._clock.later(TRANSACTION_TIMEOUT, expire)
        return transaction

    def produce(
        self,
        name: str,
        epoch: int,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> Stored:
        transaction = self._open(name, epoch)
        log = self.log(topic, partition)
        log.open.setdefault(transaction.number, log.end)
        stored = self.append(topic, partition, key, value, headers, visible=False)
        transaction.records.append(stored)
        return stored

    def add_offsets(
        self, name: str, epoch: int, group: str, member: str, member_epoch: int, offsets: dict[Place, int]
    ) -> None:
        """TxnOffsetCommit: fenced unless the member is in its group, with the epoch it names."""
        transaction = self._open(name, epoch)
        self.groups[group].check(member, member_epoch)
        transaction.offsets.setdefault(group, {}).update(offsets)
        for place in offsets:
            self.groups[group].pending.setdefault(place, set()).add(transaction.number)

    def commit(self, name: str, epoch: int) -> None:
        transaction = self._open(name, epoch)
        self.committed.append(transaction)
        self.on_commit(transaction)
        self._end(transaction, True)

    def abort(self, name: str, epoch: int) -> None:
        self._end(self._open(name, epoch), False)

    def _current(self, name: str, epoch: int) -> Producer:
        known = self.producers[name]
        if known.epoch != epoch:
            raise failure(KafkaError._FENCED, fatal=True)
        return known

    def _open(self, name: str, epoch: int) -> Transaction:
        transaction = self._current(name, epoch).current
        if transaction is None or transaction.decided is not None:
            raise failure(KafkaError._STATE)
        return transaction

    def _end(self, transaction: Transaction, committed: bool) -> None:
        """Decide a transaction. Its markers follow, one partition at a time, in any order."""
        transaction.decided = committed
        parts = sorted({(r.topic, r.partition) for r in transaction.records})
        transaction.unmarked = [partial(self._mark, transaction, part) for part in parts]
        transaction.unmarked += [partial(self._settle, transaction, group) for group in transaction.offsets]
        if self.slow_markers and self._dice.random() < self.slow_markers:
            self._dice.shuffle(transaction.unmarked)
            for _ in list(transaction.unmarked):
                self._clock.later(self._dice.randint(1, 400), lambda: self._write_marker(transaction))
        else:
            self._write_markers(transaction)

    def _write_marker(self, transaction: Transaction) -> None:
        if transaction.unmarked:
            transaction.unmarked.pop()()

    def _write_markers(self, transaction: Transaction | None) -> None:
        while transaction and transaction.unmarked:
            self._write_marker(transaction)

    def _mark(self, transaction: Transaction, place: Place) -> None:
        log = self.logs[place]
        for record in transaction.records:
            if (record.topic, record.partition) == place:
                record.visible = bool(transaction.decided)
        log.records.append(None)
        del log.open[transaction.number]
        self._changed(*place)

    def _settle(self, transaction: Transaction, name: str) -> None:
        group = self.groups[name]
        for place, upto in transaction.offsets[name].items():
            group.pending[place].discard(transaction.number)
            if transaction.decided:
                group.committed[place] = upto

    def compact(self, topic: str, partition: int) -> None:
        """Keep the last visible record of each key below the last stable offset."""
        log = self.log(topic, partition)
        last = {r.key: r.offset for r in log.visible()}
        for record in list(log.visible()):
            if last[record.key] != record.offset:
                log.records[record.offset] = None
