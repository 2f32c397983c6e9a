"""Calls to the outside world: concurrent, bounded, each with a timeout."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from eventbus.model.decider import Outcome, Reactor, Request
from eventbus.processing.work import WorkItem
from eventbus.settings import Settings

log = logging.getLogger("eventbus.calls")


class Calls:
    """Runs a reactor's requests on the event loop; the processor's thread starts them and collects the answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self._loop, self._settings = loop, settings
        self._finished: deque[tuple[WorkItem, Request, Outcome | Exception]] = deque()
        self._room = asyncio.Semaphore(settings.max_in_flight)
        self._current: set[WorkItem] = set()
        self._begun: deque[tuple[WorkItem, Request]] = deque()
        self._told = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: WorkItem, request: Request) -> None:
        """Begin a call. Its outcome, or the exception that ended it, comes out of :meth:`collect`."""
        self._current.add(work)
        self._begun.append((work, request))
        if not self._told:  # one word to the event loop for all calls of a turn
            self._told = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._told = False
        while self._begun:
            task = self._loop.create_task(self._run(*self._begun.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def collect(self) -> list[tuple[WorkItem, Request, Outcome | Exception]]:
        """What has finished since the last time, without what was forgotten meanwhile."""
        done = []
        while self._finished:
            work, request, outcome = self._finished.popleft()
            if work in self._current:
                self._current.remove(work)
                done.append((work, request, outcome))
        return done

    def forget(self, partitions: set[int] | None = None) -> None:
        """Drop the answers of calls of these partitions (all, if None) whenever they come."""
        self._current = {
            w for w in self._current if partitions is not None and w.raw.partition not in partitions
        }

    def in_flight(self) -> int:
        return len(self._current)

    async def _run(self, work: WorkItem, request: Any) -> None:
        assert isinstance(work.decider, Reactor)
        try:
            async with self._room, asyncio.timeout(self._settings.call_timeout):
                outcome: Outcome | Exception = await work.decider.call(request)
        except Exception as error:
            log.warning("%s: %r", work.raw.coordinates, error)
            outcome = error
        self._finished.append((work, request, outcome))
