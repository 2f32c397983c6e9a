"""The transactional writer of a slot, and what it means when one of its calls fails.

Sources: KIP-98 (transactions), KIP-447 (offsets carry the group's metadata), KIP-890 (epochs).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from eventbus.kafka.guard import Guard, Stuck
from eventbus.model.errors import Fenced, NeedsRestart
from eventbus.model.places import Partition
from eventbus.model.record import Headers

T = TypeVar("T")
log = logging.getLogger("eventbus.kafka")
PATIENCE = 20.0
"""Seconds for which a transactional call is repeated before a fresh process is to try."""
ONE_TRY = 3.0
"""Seconds one try of a transactional call may take."""
SETTLING = 3.0
"""Seconds that a new producer has to find its coordinator and have it end what was open. One that was given up sooner
would often come through all the same, and fence the next."""


class Superseded(Fenced):
    """The producer's epoch is over: another has its id, or the broker ended a transaction that lasted too long."""


class Aborted(Exception):
    """The transaction cannot commit: abort it, forget what was decided, read the input again."""


class Writable(Protocol):
    """A record to write. ``topic`` is without the prefix."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def size(self) -> int: ...


R = TypeVar("R", bound=Writable)


class TransactionalWriter(Generic[R]):
    """Writes one transaction after the other, as the producer of a slot.

    Any method may raise Aborted (the transaction cannot commit), Stuck (nobody knows how it ended) or ProcessMustEnd.
    After Aborted and Stuck, :meth:`restart` must be called before anything else.
    """

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        guard: Guard,
        *,
        named: Callable[[str], str],
        timeout: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``named``: the name on the cluster of a topic. ``timeout``: of a transaction, in seconds."""
        self._new_producer, self._guard, self._named = new_producer, guard, named
        self._timeout, self._monotonic = timeout, monotonic
        self._producer = new_producer()
        self._began_at = self.committed_at = monotonic()
        self._count = 0
        self._delivered: list[tuple[R, int]] = []
        self._too_large: dict[Partition, R] = {}

    def take_over(self) -> None:
        """Have the slot's open transaction ended, committed or not, before this producer begins one."""
        while True:
            try:
                self._transact(self._producer.init_transactions, ONE_TRY, grace=SETTLING)
                return
            except Stuck as reason:
                log.warning("%s: another producer tries", reason)
                self._producer = self._new_producer()
            except Aborted as reason:
                raise NeedsRestart(f"the transaction can neither commit nor abort: {reason}") from reason

    def restart(self) -> None:
        """Go on with a new producer, in a new epoch. It first ends the transaction of the one before.

        The old client may give its next records the sequence numbers of those that were under way when it failed.
        In the same epoch a broker takes them for a repetition: it acknowledges them, with the offsets of the aborted
        ones, and writes nothing.
        """
        self._producer = self._new_producer()
        self.take_over()

    def begin(self) -> None:
        """Begin a transaction."""
        self._began_at = self._monotonic()
        self._count, self._delivered = 0, []
        transactionally(self._producer.begin_transaction)

    def produce(self, record: R) -> None:
        """Add a record to the transaction."""
        # A producer that was left behind may report later: what it says belongs to its own transaction.
        of_this_transaction = self._delivered

        def delivered(error: KafkaError | None, sent: Record) -> None:
            offset = sent.offset()
            if error is not None:
                self._note_size(record, error)
            elif offset is not None:
                of_this_transaction.append((record, offset))

        self._count += 1
        while True:
            try:
                self._producer.produce(
                    self._named(record.topic),
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                    on_delivery=delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as exception:
                error = exception.args[0]
                if error.fatal() or error.code() == KafkaError._FATAL:
                    superseded = Superseded(f"the producer may not go on: {error.str()}")
                    raise self._reason(superseded) from exception
                self._note_size(record, error)
                raise Aborted(error.str()) from exception

    def send_offsets(self, offsets: Mapping[Partition, int], group: object) -> None:
        """Add the offsets up to which input is decided. ``group``: the group's metadata as of the poll."""
        if not offsets:
            return
        named = [TopicPartition(self._named(p.topic), p.number, offset) for p, offset in offsets.items()]
        try:
            self._transact(self._producer.send_offsets_to_transaction, named, group, ONE_TRY)
        except Stuck as reason:
            raise Aborted(str(reason)) from reason

    def commit(self) -> list[tuple[R, int]]:
        """Commit; returns each record with the offset at which it stands."""
        self._transact(self._producer.commit_transaction, ONE_TRY)
        if len(self._delivered) != self._count:
            raise RuntimeError("a committed transaction left records without an offset")
        self._guard.well()
        self.committed_at = self._monotonic()
        return self._delivered

    def refused(self) -> list[R]:
        """The records that Kafka refused as too large since this was last asked: the largest of each partition.

        A whole batch fails alike, so the largest is to blame.
        """
        records = list(self._too_large.values())
        self._too_large.clear()
        return records

    def _note_size(self, record: R, error: KafkaError) -> None:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            place = Partition(record.topic, record.partition)
            known = self._too_large.get(place)
            self._too_large[place] = record if known is None or record.size > known.size else known

    def _transact(self, call: Callable[..., Any], *args: Any, grace: float = 0.0) -> None:
        try:
            self._guard(transactionally, call, *args, grace=grace)
        except Superseded as error:
            raise self._reason(error) from error

    def _reason(self, error: Superseded) -> Exception:
        """What it means that the epoch is over.

        Another process has the slot; or a producer that was left behind came after this one; or the transaction
        lasted so long that its coordinator ended it, as when a broker stood still. Only the first is fencing.
        """
        lasted = self._monotonic() - self._began_at
        if self._guard.ghost() or lasted >= self._timeout - 1.0:
            return Stuck(f"after {lasted:.1f} s: {error}")
        return error


def transactionally(call: Callable[..., T], *args: Any) -> T:
    """One transactional call, repeated while it may be. Raises Aborted or ProcessMustEnd: there is no third way.

    A call that may be repeated for longer than ``PATIENCE`` ends the process too.
    """
    began = time.monotonic()
    while True:
        try:
            return call(*args)
        except KafkaException as exception:
            error = exception.args[0]
            if error.retriable():
                if time.monotonic() - began > PATIENCE:
                    raise NeedsRestart(
                        f"the producer gets no further for {PATIENCE:g} s: {error.str()}"
                    ) from exception
                log.warning("%s: %s, again", getattr(call, "__name__", call), error.str())
                continue
            if error.txn_requires_abort():
                raise Aborted(error.str()) from exception
            reason = Superseded if error.fatal() else NeedsRestart
            raise reason(f"the producer may not go on: {error.str()}") from exception
