"""Waiting until the state of a key is as wished: the state is read once an event, for all who wait for that key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from eventbus.model.decider import Decider
from eventbus.model.folding import Entry
from eventbus.model.places import Entity
from eventbus.service.changes import Changes

S = TypeVar("S")
Read = Callable[[Decider[Any], str], Entry[Any] | None]
Until = Callable[[Any], bool]


class Waits:
    """Lives on the event loop. Somebody who waits is a future and a timer: about two kilobytes, and no work."""

    def __init__(self, changes: Changes, read: Read) -> None:
        self._changes, self._read = changes, read
        self._keys: dict[Entity, _Key] = {}

    async def wait(
        self, decider: Decider[S], key: str, until: Callable[[Entry[S] | None], bool], timeout: float
    ) -> Entry[S] | None:
        """Documented at :class:`~eventbus.service.bus.Bus`."""
        entity = Entity(decider.log, key)
        waiting = self._keys.get(entity)
        if waiting is None:
            waiting = self._keys[entity] = _Key(self._changes, entity, lambda: self._read(decider, key))
        future: asyncio.Future[Entry[S] | None] = asyncio.get_running_loop().create_future()
        waiting.futures[future] = until
        try:
            entry = waiting.read()  # what is folded from here on is told
            if until(entry) or timeout <= 0 or self._changes.ended:
                return entry
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            return waiting.read()
        finally:
            del waiting.futures[future]
            if not waiting.futures:
                del self._keys[entity]
                waiting.leave()

    def count(self) -> int:
        """How many wait."""
        return sum(len(waiting.futures) for waiting in self._keys.values())


class _Key:
    """Those who wait for one key, each with what it waits for."""

    def __init__(self, changes: Changes, entity: Entity, read: Callable[[], Entry[Any] | None]) -> None:
        self._changes, self.read = changes, read
        self.futures: dict[asyncio.Future[Any], Until] = {}
        self._watch: AbstractContextManager[None] = changes.watch(entity, self._changed)
        self._watch.__enter__()

    def leave(self) -> None:
        self._watch.__exit__(None, None, None)

    def _changed(self) -> None:
        try:
            entry = self.read()
        except Exception as error:
            for future in self.futures:
                _end(future, error)
            return
        for future, until in self.futures.items():
            try:
                if self._changes.ended or until(entry):
                    _end(future, entry)
            except Exception as error:
                _end(future, error)


def _end(future: asyncio.Future[Any], result: object) -> None:
    if future.done():  # told twice before it ran
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
