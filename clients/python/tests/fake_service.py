"""A service of the test's own, which answers as the test says and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fake:
    """``script``: the answers to the first, second … request; the last one answers all that follow."""

    url: str = ""
    script: list[Handler] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)

    def answers(self, *handlers: Handler) -> None:
        self.script = list(handlers)

    def headers(self, name: str) -> list[str | None]:
        return [request.headers.get(name) for request in self.requests]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.script[min(len(self.requests), len(self.script)) - 1](request)


def says(body: Any, status: int = 200, **headers: str) -> Handler:
    """Answer with JSON."""

    async def handler(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return handler


def problem(status: int, name: str, **headers: str) -> Handler:
    """Answer with a problem."""

    async def handler(request: web.Request) -> web.StreamResponse:
        body = {"type": f"/problems/{name}", "title": "A title", "status": status, "detail": "it is so"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named, content_type="application/problem+json")

    return handler


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    found = Fake()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()
