"""What the processor has done, told to those on the event loop who wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from eventbus.messages import Envelope, Message

K = TypeVar("K")
Place = tuple[str, int]
Waiters = dict[K, list[asyncio.Future[None]]]
REMEMBERED = 4_000
"""Answers to commands that are kept for whoever will ask for them: a sender learns the place of its command, and asks
within moments."""


class Progress:
    """Lives on the event loop, which is woken only if someone there waits; :meth:`publish` is the processor's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        """Held while the processor tells something, and while someone begins or ends to wait for it."""
        self._decided: dict[Place, int] = {}
        self._answered: dict[Place, int] = {}
        self._expected: set[str] = set()
        self._answers: OrderedDict[str, list[Message]] = OrderedDict()
        self._by_cause: Waiters[str] = {}
        self._by_key: Waiters[tuple[str, str]] = {}
        self._by_any: Waiters[None] = {}

    def publish(self, events: Sequence[Envelope], decided: dict[Place, int]) -> None:
        """Events folded and input decided, from the processor's thread."""
        woken: list[asyncio.Future[None]] = []
        with self._lock:
            self._decided.update(decided)
            for event in events:
                if event.cause:
                    self._note(event.cause, event.message)
                    woken += self._by_cause.pop(event.cause, ())
                if self._by_key:
                    woken += self._by_key.pop((event.topic, event.message.key), ())
            if events or decided:
                woken += self._by_any.pop(None, ())
        if woken:
            self._loop.call_soon_threadsafe(_wake, woken)

    def _note(self, cause: str, event: Message) -> None:
        topic, partition, offset = cause.rsplit("-", 2)
        place = (topic, int(partition))
        self._answered[place] = max(int(offset) + 1, self._answered.get(place, 0))
        if topic in self._expected:
            self._answers.setdefault(cause, []).append(event)
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)

    def expect(self, topic: str) -> None:
        """Keep the answers to this topic's commands from now on: somebody is about to send some."""
        self._expected.add(topic)

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

    async def answer(self, cause: str, timeout: float) -> list[Message]:
        """The own events that the command at ``cause`` led to, once they are folded here. Raises TimeoutError."""
        await self._wait_for(self._by_cause, cause, timeout, unless=lambda: cause in self._answers)
        if cause not in self._answers:
            raise TimeoutError(f"what {cause} led to was forgotten before it was asked for")
        return self._answers[cause]

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
