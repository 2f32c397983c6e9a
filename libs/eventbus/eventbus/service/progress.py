"""What the processor has folded and decided, published to the event loop; and who waits there for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from eventbus.model.messages import Envelope
from eventbus.model.places import Partition, whole_number
from eventbus.service.answers import Answer, Answers, Sent
from eventbus.service.changes import Changes

K = TypeVar("K")
Waiters = dict[K, list[asyncio.Future[None]]]


class Progress:
    """The processor calls :meth:`publish` from its thread, everybody else calls from the event loop.

    The loop is woken only if somebody there waits. ``topics`` are the inputs of the service, of ``partitions``
    partitions each: an event whose cause is no record of these is not noted.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, topics: Collection[str], partitions: int) -> None:
        self._loop = loop
        self._inputs = {
            f"{topic}-{number}": Partition(topic, number) for topic in topics for number in range(partitions)
        }
        """The partitions of the inputs, by what a cause from there begins with."""
        self._lock = threading.Lock()
        """Held while the processor publishes, and while somebody begins or ends to wait."""
        self._decided: dict[Partition, int] = {}
        self._answered: dict[Partition, int] = {}
        self._answers = Answers()
        self._by_cause: dict[Partition, Waiters[int]] = {}
        self._by_any: Waiters[None] = {}
        self.changes = Changes(loop)

    def publish(self, events: Sequence[Envelope], decided: dict[Partition, int]) -> None:
        """Events that are folded, and by input partition the offset up to which it is decided.

        An event is published before or with the decision on its cause, never after: who sees that a command is
        decided and finds no event knows that it led to none.
        """
        woken: list[asyncio.Future[None]] = []
        with self._lock:
            is_asked = self._answers.are_asked_for()
            for event in events:
                if cause := self._cause(event):
                    partition, offset = cause
                    if offset >= self._answered.get(partition, 0):
                        self._answered[partition] = offset + 1
                    if is_asked:
                        self._answers.add(partition, offset, event)
                    if waiters := self._by_cause.get(partition):
                        woken += waiters.pop(offset, ())
            for partition, upto in decided.items():
                self._decided[partition] = upto
                if waiters := self._by_cause.get(partition):
                    for offset in [o for o in waiters if o < upto]:
                        woken += waiters.pop(offset)
            if events or decided:
                woken += self._by_any.pop(None, ())
        if woken:
            self._loop.call_soon_threadsafe(_wake, woken)
        self.changes.folded(events)

    def _cause(self, event: Envelope) -> tuple[Partition, int] | None:
        """The record of an input that the event answers, if it answers one."""
        place, _, offset = (event.cause or "").rpartition("-")
        try:
            return (self._inputs[place], whole_number(offset))
        except (KeyError, ValueError):
            return None

    def expect(self, partition: Partition) -> None:
        """A command is about to be written to ``partition``; :meth:`placed` must follow."""
        with self._lock:
            self._answers.expect(partition)

    def placed(self, partition: Partition, offset: int | None) -> Answer:
        """An expected command stands at ``offset``; None: it was not written, or nobody knows where it stands.

        Commands to one partition must be reported in the order of their offsets.
        """
        with self._lock:
            return self._answers.placed(partition, offset)

    def decided(self, partition: Partition) -> int:
        """The offset up to which an input is decided, where this replica leads it; -1 if it does not know."""
        return self._decided.get(partition, -1)

    def answered(self, partition: Partition) -> int:
        """The offset after the last record of an input that an event folded here answers; -1 if none does."""
        return self._answered.get(partition, -1)

    def decided_partitions(self) -> list[Partition]:
        """The input partitions of which this replica has decided something."""
        with self._lock:
            return list(self._decided)

    async def answer_or_decision(self, sent: Sent, timeout: float, *, decided: bool) -> None:
        """Wait until an event answers the command, it is decided here, or ``timeout`` (seconds) has passed.

        ``decided``: the caller knows already that it is decided, and waits for an event only.
        """
        partition = Partition(sent.topic, sent.partition)

        def is_known() -> bool:
            return bool(sent.answer.events) or (not decided and self.decided(partition) > sent.offset)

        with self._lock:
            waiters = self._by_cause.setdefault(partition, {})
        try:
            await self._wait_for(waiters, sent.offset, timeout, unless=is_known)
        except TimeoutError:
            return

    async def anything(self, timeout: float) -> None:
        """Wait until anything is published, or ``timeout`` (seconds) has passed."""
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
