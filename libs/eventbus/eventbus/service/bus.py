"""What the HTTP side of a service uses: send a command, await its answer, read the state of this replica.

:class:`Bus` gives access to three parts: :mod:`~eventbus.service.sender` makes commands durable,
:mod:`~eventbus.service.reader` reads local state, and :mod:`~eventbus.service.consistency` knows what is decided.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from eventbus.access import Caller
from eventbus.causes import Question, Why
from eventbus.codec import Codec
from eventbus.model.decider import Decider
from eventbus.model.folding import Entry
from eventbus.model.listing import FRONT, OLDEST, Place
from eventbus.model.messages import Message
from eventbus.model.places import Position
from eventbus.model.requests import Answered, RequestId
from eventbus.model.rules import check_sent
from eventbus.service.answers import Sent
from eventbus.service.changes import Told
from eventbus.service.consistency import Consistency
from eventbus.service.inquiries import Inquiries
from eventbus.service.local_state import LocalState
from eventbus.service.new_keys import NewKeys
from eventbus.service.offset_probe import OffsetProbe
from eventbus.service.published import Published
from eventbus.service.reader import Reader
from eventbus.service.sender import Sender
from eventbus.settings import Settings
from eventbus.state.parked import HoldStatus
from eventbus.state.store import Store

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class BusParts:
    """The parts of a bus, connected to Kafka. They are made together, once the processor is there."""

    sender: Sender
    reader: Reader
    consistency: Consistency
    probe: OffsetProbe
    keys: NewKeys

    @classmethod
    def open(
        cls,
        service: str,
        settings: Settings,
        codec: Codec,
        loop: asyncio.AbstractEventLoop,
        local: LocalState,
    ) -> Self:
        """Make the parts. Any thread may call this; they live on ``loop``."""
        sender = Sender(service, settings, codec, loop, local)
        reader = Reader(settings, codec, local)
        probe = OffsetProbe(service, settings)
        consistency = Consistency(service, settings, local, sender, reader, probe)
        return cls(sender, reader, consistency, probe, NewKeys(local.partitions))

    def close(self) -> None:
        """Wait for commands under way, then disconnect. Blocks."""
        self.sender.close()
        self.probe.close()


class Bus:
    """Lives on the event loop; every method is called from it.

    HTTP is served before Kafka has answered. Until ``parts`` are published every method raises Unavailable,
    which HTTP answers with 503 and Retry-After; only :meth:`fresh` and :meth:`undecided` have an answer.
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        parts: Published[BusParts],
        sends: Sequence[type[Message]] = (),
    ) -> None:
        """``sends``: the commands that :meth:`send` takes."""
        self.service, self.settings, self._parts, self._sends = service, settings, parts, sends
        self._inquiries = Inquiries(settings)

    def new_key(self, draw: Callable[[], str]) -> str:
        """A key for what begins now: one of those that ``draw`` gives, each of which must be random.

        Keys of one moment fall into the same partition, of many partitions into a quarter of them. So the
        transactions that follow touch few, here and in each service that takes up the key. Over time all get the
        same share.
        """
        return self._parts.get().keys.new(draw)

    async def send(
        self,
        command: Message,
        *,
        by: Caller | None = None,
        request: RequestId | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Sent:
        """Make a command durable (acks=all); returns where it stands. ``by``: who wished it, which is recorded.

        ``request``: what the command carries out. Where the decider remembers requests, a command that is sent again
        for the same one leads to no event; :meth:`first_answer` has what the first one led to.

        Raises Unavailable if it is not durable within ``send_timeout``: it may have been written all the same. The
        events it leads to are kept for :meth:`answer` while the caller holds what is returned, no longer.
        Raises TypeError for a command that ``Service(sends=...)`` does not name.
        """
        check_sent(f"the HTTP interface of {self.service}", self._sends, command)
        author = by.author if by else None
        return await self._parts.get().sender.send(command, correlation_id, traceparent, author, request)

    async def write(
        self,
        command: Message,
        *,
        by: Caller | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Position:
        """As :meth:`send`, for a command whose answer nobody will ask for: its events are not kept."""
        check_sent(f"the HTTP interface of {self.service}", self._sends, command)
        return await self._parts.get().sender.write(
            command, correlation_id, traceparent, by.author if by else None
        )

    async def answer(self, sent: Sent, timeout: float) -> list[Message]:
        """The own events that a command sent from here led to, once they are folded here.

        Empty as soon as this replica knows that the command is decided and led to none. Raises TimeoutError after
        ``timeout`` (seconds): it is not decided yet, it is parked, or its events could not be kept.
        """
        return await self._parts.get().consistency.answer(sent, timeout)

    def undecided(self, topic: str) -> int:
        """How many records of ``topic``, up to the last sent from here, have led to no event yet that is folded here.

        Other replicas' records between count too. One that leads to no event counts until a later one of its
        partition leads to one. 0 until Kafka has answered: nothing was sent.
        """
        parts = self._parts.peek()
        return parts.consistency.undecided(topic) if parts else 0

    async def wait(
        self, decider: Decider[S], key: str, until: Callable[[Entry[S] | None], bool], timeout: float
    ) -> Entry[S] | None:
        """Wait until ``until`` holds of a key, or ``timeout`` (seconds) has passed; returns the last read.

        Nothing is asked meanwhile: after an event of the key its state is read once, for all who wait for it. When
        this replica stops, all get what they would read then.
        """
        return await self._parts.get().consistency.wait(decider, key, until, timeout)

    def watch(self, log: str, key: str | None, told: Told) -> AbstractContextManager[None]:
        """Within it ``told`` is called once events of a key of an own log, or of any key (None), are folded here.

        What is read within it, after it began or was told, misses nothing. It is told too when this replica stops.
        """
        return self._parts.get().reader.watch(log, key, told)

    def why_unavailable(self, log: str, key: str | None = None) -> str:
        """Why this replica cannot say how a key of an own log, or the whole log, stands; empty if it can."""
        parts = self._parts.peek()
        return parts.reader.why_unavailable(log, key) if parts else self._parts.missing

    def folded_up_to(self, log: str) -> list[int]:
        """By the number of its partition, the offset up to which an own log is folded in what :meth:`query` sees."""
        return self._parts.get().reader.folded_up_to(log)

    def end(self) -> None:
        """This replica stops: nobody waits here any more."""
        if parts := self._parts.peek():
            parts.reader.end()

    async def caught_up(self, topic: str, key: str) -> None:
        """Return once everything that ``topic`` held for this key when the call came is decided and folded here.

        Raises Unavailable after ``read_timeout``, and if a message of the key is parked here: then this replica
        cannot say that it knows of nothing.
        """
        await self._parts.get().consistency.caught_up(topic, key)

    async def all_caught_up(self, topic: str) -> None:
        """Return once all that an input held when the call came is decided and folded here, on all partitions.

        Raises Unavailable after ``read_timeout``. Calls at one time share their questions to the brokers.
        """
        await self._parts.get().consistency.all_caught_up(topic)

    async def all_folded(self, log: str) -> None:
        """Return once all that an own log held when the call came is folded here, on all partitions.

        What any replica has shown by then, this one shows as well. Raises Unavailable after ``read_timeout``. Calls
        at one time share their questions to the brokers.
        """
        await self._parts.get().consistency.all_folded(log)

    def fresh(self) -> bool:
        """Whether a broker was heard within a session timeout. False until Kafka has answered."""
        parts = self._parts.peek()
        return parts is not None and parts.reader.fresh()

    def read(self, decider: Decider[S], key: str) -> Entry[S] | None:
        """The state of one key on this replica; None if it knows of none.

        Raises Unavailable while a record stops the task of the key.
        """
        return self._parts.get().reader.read(decider, key)

    def page(
        self,
        decider: Decider[S],
        chosen: Mapping[str, str] | None = None,
        *,
        behind: Place | None = None,
        since: int | None = None,
        limit: int,
    ) -> Iterator[tuple[Place, Entry[S]]]:
        """Keys of the decider's listing on this replica, newest first, each with its place and its state.

        ``chosen``: by column the value wanted; ``behind``: the place of the last entry of the page before; ``since``:
        older ones and those of this time (ms since epoch) are left out; ``limit``: so many at most. All are of one
        moment. Each state is decoded when it is asked for. Raises Unavailable while a record stops a task.
        """
        since = OLDEST if since is None else since
        return self._parts.get().reader.page(decider, chosen or {}, behind or FRONT, since, limit)

    def first_answer(self, decider: Decider[S], key: str, request: str) -> Answered | None:
        """The first answer to a request to a key; None if none is folded here. Raises as :meth:`read`."""
        return self._parts.get().reader.first_answer(decider, key, request)

    def held(self, key: str) -> HoldStatus | None:
        """Why messages of a key are parked, here or in a service whose retry topic is watched; None if none are."""
        return self._parts.get().reader.held(key)

    def held_keys(self) -> int:
        """How many keys are parked, here or in a service whose retry topic is watched."""
        return self._parts.get().reader.held_keys()

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Rows of this replica's projections; read-only."""
        return self._parts.get().reader.query(sql, args)

    async def why(self, question: Question) -> Why:
        """The causal tree of a key, read from the topics of all services within ``why_timeout``.

        Raises Unavailable if this replica answers ``why_at_once`` such questions already, or if Kafka is away.
        """
        return await self._inquiries.ask(question, self.consult(lambda codec, store, partitions: codec))

    def consult(self, question: Callable[[Codec, Store, int], T]) -> T:
        """What ``question`` returns when given the codec, the store (read-only) and the number of partitions.

        Raises Unavailable if no broker was heard for a session timeout.
        """
        return self._parts.get().reader.consult(question)
