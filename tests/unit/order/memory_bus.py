"""A bus in memory: commands are decided when sent, unless the test holds them back or takes Kafka away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import httpx
from fastapi import FastAPI

from eventbus import (
    Answered,
    DeadlinePassed,
    Decider,
    Entry,
    Envelope,
    HoldStatus,
    Message,
    Place,
    Position,
    Question,
    RequestId,
    Settings,
    Unavailable,
    Why,
)
from eventbus.access import Caller
from eventbus.model.messages import Author

NOW = 1_700_000_000_000


class MemoryBus:
    """What :class:`eventbus.Bus` promises, with one partition a topic unless told, and a movable clock."""

    def __init__(self, decider: Decider[Any], partitions: int = 1) -> None:
        self.decider, self.partitions, self.settings = decider, partitions, Settings()
        self.clear()

    def clear(self) -> None:
        """Nothing was sent, nothing happened, Kafka is there."""
        self.sent: list[Message] = []
        self.log: list[Envelope] = []
        self.traces: list[tuple[str | None, str | None]] = []
        self.now = NOW
        self.authors: list[Author | None] = []
        self.away = self.stalled = False
        self.waiting: dict[str, HoldStatus] = {}
        self.behind = self.counted = 0
        self.on_wait: Callable[[], object] = lambda: None
        self.on_caught_up: Callable[[], object] = lambda: None
        self.undecided_at: set[int] = set()
        self.unavailable = ""
        self.watchers: list[tuple[str, str | None, Callable[[], None]]] = []
        self.asked_why: list[Question] = []
        self.told_why: Why | Unavailable = Why("", (), 0, "", {})
        self._states: dict[str, Entry[Any]] = {}
        self._ends = [0] * self.partitions
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        assert self.decider.projection is not None
        self._db.executescript(self.decider.projection.tables)

    def new_key(self, draw: Callable[[], str]) -> str:
        return draw()

    def happens(
        self, message: Message, offset: int = 1_000_000, request: RequestId | None = None
    ) -> list[Message]:
        """``message`` is read from its topic and decided, unless its request was answered before."""
        if request and self.first_answer(self.decider, message.key, request.request):
            return []
        return self._decide(message, message.key, str(Position(message.topic, 0, offset)), request)

    def expires(self, key: str) -> list[Message]:
        """The deadline of ``key`` passes."""
        return self._decide(DeadlinePassed(key, NOW), key, f"order.events.deadline-0-{NOW}")

    def _decide(
        self, message: Message | DeadlinePassed, key: str, cause: str, request: RequestId | None = None
    ) -> list[Message]:
        entry = self._states.get(key)
        state = entry.state if entry else self.decider.initial
        outputs = [o.stamp(self.now) for o in self.decider.decide(message, state) if isinstance(o, Message)]
        for event in outputs:
            self.folds(event, cause, request)
        return outputs

    def folds(self, event: Message, cause: str | None = None, request: RequestId | None = None) -> None:
        """``event`` stands in the log."""
        entry = self._states.get(event.key)
        state, version = (entry.state, entry.version + 1) if entry else (self.decider.initial, 1)
        self._record(event, version, cause, request)
        self._states[event.key] = Entry(event.key, version, self.decider.evolve(state, event), self.now)

    def _record(self, event: Message, version: int, cause: str | None, request: RequestId | None) -> None:
        partition = crc32(event.key.encode()) % self.partitions
        envelope = Envelope(
            message=event,
            id=f"{len(self.log)}",
            time=self.now,
            source="/order",
            correlation_id="c",
            cause=cause,
            key_version=version,
            traceparent=None,
            topic=event.topic,
            partition=partition,
            offset=self._ends[partition],
            causation_id=str(request) if request else "1",
        )
        self.fold(envelope)

    def fold(self, envelope: Envelope) -> None:
        """Add an event, of this bus or of another replica's log, and tell those who watch."""
        self.log.append(envelope)
        self._ends[envelope.partition] = envelope.offset + 1
        assert self.decider.projection is not None
        self.decider.projection.apply(self._db, envelope)
        for log, key, told in tuple(self.watchers):
            if log == envelope.topic and key in (None, envelope.message.key):
                told()

    def end(self, reason: str = "this replica stops") -> None:
        """The replica cannot say how things stand any more; who watches is told."""
        self.unavailable = reason
        for _, _, told in tuple(self.watchers):
            told()

    def first_answer(self, decider: Decider[Any], key: str, request: str) -> Answered | None:
        for event in self.log:
            known = RequestId.parse(event.causation_id)
            if event.message.key == key and known and known.request == request:
                return Answered(known.fingerprint, event.key_version or 0)
        return None

    async def send(
        self,
        command: Message,
        *,
        by: Caller | None = None,
        request: RequestId | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Position:
        if self.away:
            raise Unavailable("the command is not durable")
        self.sent.append(command.stamp(self.now))
        self.traces.append((correlation_id, traceparent))
        self.authors.append(by.author if by else None)
        if self.stalled:
            self.undecided_at.add(len(self.sent) - 1)
        else:
            self.happens(self.sent[-1], len(self.sent) - 1, request)
        return Position(command.topic, 0, len(self.sent) - 1)

    write = send

    async def answer(self, position: Position, timeout: float) -> list[Message]:
        events = [e.message for e in self.log if e.cause == str(position)]
        if position.offset in self.undecided_at and not events:
            raise TimeoutError
        return events

    def read(self, decider: Decider[Any], key: str) -> Entry[Any] | None:
        return self._states.get(key)

    async def wait(
        self,
        decider: Decider[Any],
        key: str,
        until: Callable[[Entry[Any] | None], bool],
        timeout: float,
    ) -> Entry[Any] | None:
        if not until(self.read(decider, key)):
            self.on_wait()
        return self.read(decider, key)

    async def why(self, question: Question) -> Why:
        self.asked_why.append(question)
        if isinstance(self.told_why, Unavailable):
            raise self.told_why
        return self.told_why

    async def caught_up(self, topic: str, key: str) -> None:
        self.on_caught_up()

    @contextmanager
    def watch(self, log: str, key: str | None, told: Callable[[], None]) -> Iterator[None]:
        self.watchers.append((log, key, told))
        try:
            yield
        finally:
            self.watchers.remove((log, key, told))

    def why_unavailable(self, log: str, key: str | None = None) -> str:
        return self.unavailable

    def folded_up_to(self, log: str) -> list[int]:
        return list(self._ends)

    def fresh(self) -> bool:
        return not self.away

    def held(self, key: str) -> HoldStatus | None:
        return self.waiting.get(key)

    def held_keys(self) -> int:
        return len(self.waiting)

    def undecided(self, topic: str) -> int:
        self.counted += 1
        return self.behind

    async def all_caught_up(self, topic: str) -> None:
        self.on_caught_up()

    async def all_folded(self, log: str) -> None:
        self.on_caught_up()

    def page(
        self,
        decider: Decider[Any],
        chosen: Mapping[str, str] | None = None,
        *,
        behind: Place | None = None,
        since: int | None = None,
        limit: int,
    ) -> Iterator[tuple[Place, Entry[Any]]]:
        """Sorts and chooses in memory; the test of listings compares the store with the same."""
        assert decider.listing
        rows = {entry.key: decider.listing.row(entry.state) for entry in self._states.values()}
        places = sorted(
            (
                Place(row.at, key)
                for key, row in rows.items()
                if row
                and (since is None or row.at > since)
                and dict(zip(decider.listing.columns, row.values, strict=True)).items()
                >= (chosen or {}).items()
            ),
            reverse=True,
        )
        found = [place for place in places if behind is None or place < behind]
        return ((place, self._states[place.key]) for place in found[:limit])

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._db.execute(sql, args).fetchall()


class HttpClient:
    """Asks an application directly, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://order")
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **content))

    def get(self, path: str, **content: Any) -> httpx.Response:
        return self.request("GET", path, **content)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.request("POST", path, **content)
