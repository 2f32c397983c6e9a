"""uvicorn within limits: no more connections than there are descriptors, and none stays open unused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import uvicorn
from fastapi import FastAPI

from eventbus.http.connection import Connection
from eventbus.http.connections import OpenConnections, Refusals
from eventbus.model.limits import HttpLimits

TICK = 0.5
"""Seconds between two sweeps over all connections. uvicorn ticks ten times a second, and each tick wakes a processor
that has nothing else to do."""


class HttpServer(uvicorn.Server):
    """Serves ``app``. It has no signal handlers: the replica stops the processor and HTTP together."""

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        limits: HttpLimits,
        refusals: Refusals,
        on_shutdown: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_shutdown``: ends what requests wait for, so that all are answered before the server has stopped."""
        self._on_shutdown = on_shutdown
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self.connections = OpenConnections(limits, refusals)
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=partial(Connection, self.connections),  # type: ignore[arg-type]
                ws="none",
                # All that is accepted in one iteration needs a descriptor, also what is refused.
                backlog=min(1_024, max(16, limits.max_connections // 4)),
                log_config=None,
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=5,
                lifespan="off",
            )
        )

    async def main_loop(self) -> None:
        """Until it is to stop."""
        self._loop = asyncio.get_running_loop()
        stopped = self._loop.create_task(self._stopped.wait())
        while not await self.on_tick(0):
            self.connections.sweep(self._loop.time())
            await asyncio.wait((stopped,), timeout=TICK)
        stopped.cancel()

    def stop(self) -> None:
        """Answer what is under way, and end. Any thread."""
        self.should_exit = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and end what is open."""
        for server in self.servers:
            server.close()
        self._on_shutdown()
        await super().shutdown(sockets)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()
