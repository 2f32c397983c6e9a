"""Awaiting, on an event loop, what threads hear from Kafka."""

from __future__ import annotations

import asyncio
from collections import deque


class Ends:
    """When things ended, by key. Made on the event loop; ``hear`` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._new: deque[tuple[str, float | Exception]] = deque()
        self._woken = False
        self._ended: dict[str, float | Exception] = {}
        self._awaited: dict[str, asyncio.Future[float]] = {}

    def hear(self, key: str, end: float | Exception) -> None:
        """It ended at this time (``time.monotonic``, s), or not as it should."""
        self._new.append((key, end))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        self._woken = False  # before the look: what comes after it wakes again
        while self._new:
            key, end = self._new.popleft()
            future = self._awaited.pop(key, None)
            if future is None:
                self._ended[key] = end
            elif not future.done():
                future.set_exception(end) if isinstance(end, Exception) else future.set_result(end)

    async def until(self, key: str) -> float:
        """When it ended, once it has; asked once for each key. Raises what was heard instead of a time."""
        end = self._ended.pop(key, None)
        if end is None:
            future: asyncio.Future[float] = self._loop.create_future()
            self._awaited[key] = future
            return await future
        if isinstance(end, Exception):
            raise end
        return end
