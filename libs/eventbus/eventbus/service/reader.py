"""Reads the state of this replica, and knows whether it is fresh."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from eventbus.codec import Codec
from eventbus.http.freshness import STALE, require_fresh
from eventbus.model.decider import Decider
from eventbus.model.errors import Unavailable
from eventbus.model.folding import Entry
from eventbus.model.listing import Place
from eventbus.model.places import Entity
from eventbus.model.requests import Answered
from eventbus.service.changes import Told
from eventbus.service.local_state import LocalState
from eventbus.settings import Settings
from eventbus.state.parked import HoldStatus
from eventbus.state.store import Store

S = TypeVar("S")
T = TypeVar("T")


class Reader:
    """Lives on the event loop. Its methods are documented at :class:`~eventbus.service.bus.Bus`."""

    def __init__(self, settings: Settings, codec: Codec, local: LocalState) -> None:
        self._settings, self._codec, self._local, self._store = settings, codec, local, local.store

    def fresh(self) -> bool:
        return self._local.health.silent_for() < self._settings.session_timeout

    def read(self, decider: Decider[S], key: str) -> Entry[S] | None:
        self._require_going_on(decider, key)
        return self._store.read(decider, key)

    def first_answer(self, decider: Decider[S], key: str, request: str) -> Answered | None:
        self._require_going_on(decider, key)
        return self._store.load(decider, key).answer_to(request)

    def _require_going_on(self, decider: Decider[S], key: str) -> None:
        stops = self._local.stops()
        if stops and (stop := stops.get(self._local.partition_of(decider.log, key))):
            raise Unavailable(f"this replica cannot say how {key} stands: {stop.reason}")

    def why_unavailable(self, log: str, key: str | None) -> str:
        if self._local.progress.changes.ended:
            return "this replica stops"
        if not self.fresh():
            return STALE
        for stopped, stop in self._local.stops().items():
            if stopped.topic == log and (key is None or stopped == self._local.partition_of(log, key)):
                return f"this replica cannot say how things stand: {stop.reason}"
        return "" if self._local.caught_up() else "this replica is catching up"

    def watch(self, log: str, key: str | None, told: Told) -> AbstractContextManager[None]:
        return self._local.progress.changes.watch(log if key is None else Entity(log, key), told)

    def folded_up_to(self, log: str) -> list[int]:
        return [self._store.checkpoint(log, number) for number in range(self._local.partitions)]

    def end(self) -> None:
        self._local.progress.changes.end()

    def page(
        self, decider: Decider[S], chosen: Mapping[str, str], behind: Place, since: int, limit: int
    ) -> Iterator[tuple[Place, Entry[S]]]:
        for place, stop in self._local.stops().items():
            if place.topic == decider.log:
                raise Unavailable(f"this replica cannot list what it does not know: {stop.reason}")
        return self._store.page(decider, chosen, behind, since, limit)

    def held(self, key: str) -> HoldStatus | None:
        return self._store.parked.held(key)

    def held_keys(self) -> int:
        return self._store.parked.keys()

    def query(self, sql: str, args: Sequence[Any]) -> list[sqlite3.Row]:
        return self._store.db.execute(sql, args).fetchall()

    def consult(self, question: Callable[[Codec, Store, int], T]) -> T:
        require_fresh(self)
        return question(self._codec, self._store, self._local.partitions)
