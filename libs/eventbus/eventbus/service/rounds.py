"""A question that many ask at one time is asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Rounds:
    """Asks in rounds, one after the other. Who comes while a round runs gets the answer of the next one.

    So no answer is older than its question, and there is one question under way, however many wait.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def asked(self) -> None:
        """Return once a round that began after this call has ended. Raises what it raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._round())
            self._next.add_done_callback(_noticed)
        await asyncio.shield(self._next)  # one who leaves does not end it for the others

    async def _round(self) -> None:
        if self._running:
            await asyncio.wait([self._running])
        self._running, self._next = self._next, None
        await self._ask()


def _noticed(task: asyncio.Task[None]) -> None:
    """An error is no surprise if all who waited have left."""
    if not task.cancelled():
        task.exception()
