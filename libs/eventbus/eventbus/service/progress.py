"""What the processor has done, told to those on the event loop who wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Partition, Position

K = TypeVar("K")
Place = Partition
Waiters = dict[K, list[asyncio.Future[None]]]
EARLY_BYTES = 4_000_000
"""Encoded size of the events kept for senders who do not know yet where their command stands."""


class Answer:
    """What one command led to so far, for as long as its sender holds this; ``lost``: there was more than is kept."""

    __slots__ = ("__weakref__", "events", "lost")

    def __init__(self, events: Sequence[Message] = (), lost: bool = False) -> None:
        self.events, self.lost = list(events), lost


class Sent(Position):
    """Where a command stands that was sent from here. What it leads to is kept while somebody holds this."""

    answer: Answer


class Progress:
    """Lives on the event loop, which is woken only if someone there waits; :meth:`publish` is the processor's.

    An answer may come before its sender knows where the command stands. So events that answer a place are kept while
    a command is on its way there, up to ``EARLY_BYTES`` in all, and only those that a command on its way may get.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        """Held while the processor tells something, and while someone begins or ends to wait for it."""
        self._topics: frozenset[str] = frozenset()
        self._partitions = 0
        self._decided: dict[Place, int] = {}
        self._answered: dict[Place, int] = {}
        self._under_way: dict[Place, int] = {}
        """Commands on their way to a place: nobody knows yet where they will stand."""
        self._early: dict[Place, dict[int, list[Envelope]]] = {}
        self._early_bytes = 0
        self._lost: dict[Place, int] = {}
        """The highest offset whose answer was dropped while a command was on its way to the place."""
        self._answers: WeakValueDictionary[tuple[Place, int], Answer] = WeakValueDictionary()
        self._by_cause: dict[Place, Waiters[int]] = {}
        self._by_key: Waiters[tuple[str, str]] = {}
        self._by_any: Waiters[None] = {}

    def attend(self, topics: Collection[str], partitions: int) -> None:
        """These are the inputs of the service; what claims to answer anything else is not noted."""
        self._topics, self._partitions = frozenset(topics), partitions

    def publish(self, events: Sequence[Envelope], decided: dict[Place, int]) -> None:
        """Events folded and input decided, from the processor's thread.

        An event is told before or with the decision on its cause, never after: who sees that a command is decided
        and finds no event knows that it led to none.
        """
        woken: list[asyncio.Future[None]] = []
        with self._lock:
            for event in events:
                if cause := self._cause(event):
                    self._note(cause, event)
                    woken += self._by_cause.get(cause[0], {}).pop(cause[1], ())
                if self._by_key:
                    woken += self._by_key.pop((event.topic, event.message.key), ())
            for place, upto in decided.items():
                self._decided[place] = upto
                if waiting := self._by_cause.get(place):
                    for offset in [o for o in waiting if o < upto]:
                        woken += waiting.pop(offset)
            if events or decided:
                woken += self._by_any.pop(None, ())
        if woken:
            self._loop.call_soon_threadsafe(_wake, woken)

    def _cause(self, event: Envelope) -> tuple[Place, int] | None:
        """The input that the event answers, if it is one."""
        try:
            topic, partition, offset = Position.parse(event.cause or "")
        except ValueError:
            return None
        known = topic in self._topics and 0 <= partition < self._partitions
        return (Partition(topic, partition), offset) if known else None

    def _note(self, cause: tuple[Place, int], event: Envelope) -> None:
        place, offset = cause
        self._answered[place] = max(offset + 1, self._answered.get(place, 0))
        if answer := self._answers.get(cause):
            answer.events.append(event.message)
        elif place in self._under_way:
            early = self._early.setdefault(place, {})
            early.setdefault(offset, []).append(event)
            self._early_bytes += event.size
            while early and self._early_bytes > EARLY_BYTES:
                self._drop(place, min(early))

    def _drop(self, place: Place, offset: int) -> None:
        self._early_bytes -= sum(event.size for event in self._early[place].pop(offset))
        self._lost[place] = max(offset, self._lost.get(place, -1))

    def expect(self, place: Place) -> None:
        """A command is about to be written to ``place``; :meth:`stands` must follow."""
        with self._lock:
            self._under_way[place] = self._under_way.get(place, 0) + 1

    def stands(self, place: Place, offset: int | None) -> Answer:
        """A command that was expected stands at ``offset``, or (None) nowhere that is known. Commands to one place
        are told in the order in which they stand there."""
        with self._lock:
            early, lost = self._early.get(place, {}), self._lost.get(place, -1)
            answer = Answer()
            if offset is not None:
                answer = Answer([e.message for e in early.get(offset, ())], offset <= lost)
                self._answers[place, offset] = answer
            self._under_way[place] -= 1
            alone = not self._under_way[place]
            for passed in [o for o in early if alone or (offset is not None and o <= offset)]:
                self._drop(place, passed)
            if alone:
                for told in (self._under_way, self._early, self._lost):
                    told.pop(place, None)
            return answer

    def decided(self, place: Place) -> int:
        """The offset up to which all input of ``place`` is decided, as its leader here knows; -1 if it does not."""
        return self._decided.get(place, -1)

    def answered(self, place: Place) -> int:
        """The offset after the last record of ``place`` that an event folded here answers; -1 if none does."""
        return self._answered.get(place, -1)

    def places(self) -> list[Place]:
        """The input partitions of which this replica has decided something."""
        with self._lock:
            return list(self._decided)

    async def about(self, sent: Sent, timeout: float, *, decided: bool) -> None:
        """Wait for an event that the command led to, ``timeout`` (seconds), or until it is decided here.

        ``decided``: that it is decided is known, so only an event is waited for.
        """
        place = Partition(sent.topic, sent.partition)

        def known() -> bool:
            return bool(sent.answer.events) or (not decided and self.decided(place) > sent.offset)

        with self._lock:
            waiters = self._by_cause.setdefault(place, {})
        try:
            await self._wait_for(waiters, sent.offset, timeout, unless=known)
        except TimeoutError:
            return

    async def change(self, log: str, key: str, timeout: float, unless: Callable[[], bool]) -> None:
        """Wait for an event of this key, ``unless`` that holds already. Raises TimeoutError."""
        await self._wait_for(self._by_key, (log, key), timeout, unless)

    async def anything(self, timeout: float) -> None:
        """Wait for any progress, or ``timeout`` (seconds)."""
        try:
            await self._wait_for(self._by_any, None, timeout)
        except TimeoutError:
            return

    async def _wait_for(
        self, waiters: Waiters[K], key: K, timeout: float, unless: Callable[[], bool] = lambda: False
    ) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            if unless():
                return
            waiters.setdefault(key, []).append(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        finally:
            with self._lock:
                if future in (queue := waiters.get(key, [])):
                    queue.remove(future)
                    if not queue:
                        del waiters[key]


def _wake(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
