"""Calls to the outside world: concurrent, bounded, each with a timeout."""

from __future__ import annotations

import asyncio
import logging
import threading
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
        self._begin_scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = threading.Event()
        """Set when the last call under way has ended, until its answer is collected or another begins."""

    def start(self, item: WorkItem, request: Request) -> None:
        """Begin a call. Its outcome, or the exception that ended it, comes out of :meth:`collect`."""
        self._current.add(item)
        self._begun.append((item, request))
        self._ended.clear()  # after that: the last call before it may end at this moment
        if not self._begin_scheduled:  # the event loop is woken once for all calls of a turn
            self._begin_scheduled = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._begin_scheduled = False
        while self._begun:
            task = self._loop.create_task(self._run(*self._begun.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._finished and not self._tasks and not self._begun:
            self._ended.set()

    def collect(self) -> list[tuple[WorkItem, Request, Outcome | Exception]]:
        """What has finished since the last time, without what was forgotten meanwhile."""
        done = []
        self._ended.clear()
        while self._finished:
            item, request, outcome = self._finished.popleft()
            if item in self._current:
                self._current.remove(item)
                done.append((item, request, outcome))
        return done

    def forget(self, partitions: set[int] | None = None) -> None:
        """Drop the answers of calls of these partitions (all, if None) whenever they come."""
        self._current = {
            w for w in self._current if partitions is not None and w.raw.partition not in partitions
        }

    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self._current)

    def wait(self, seconds: float) -> None:
        """Wait until all of them have ended, so many seconds at most."""
        self._ended.wait(seconds)

    async def _run(self, item: WorkItem, request: Any) -> None:
        assert isinstance(item.decider, Reactor)
        try:
            async with self._room, asyncio.timeout(self._settings.call_timeout):
                outcome: Outcome | Exception = await item.decider.call(request)
        except Exception as error:
            log.warning("%s: %r", item.raw.coordinates, error)
            outcome = error
        self._finished.append((item, request, outcome))
