"""A server with short limits in the test's own event loop, and clients that speak to it byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from eventbus.http import parse_json, read_body
from eventbus.http.app import create_app
from eventbus.http.connections import Refusals
from eventbus.http.edge import Hosts
from eventbus.http.server import HttpServer
from eventbus.model.limits import HttpLimits
from eventbus.service.runtime import http_routes

MAX_BODY = 100_000
QUICK = HttpLimits(max_header=4_096, header_timeout=0.5, body_rate=1_000, window=0.5, keep_alive=0.5)
"""Limits that a test can wait for."""
PATIENT = HttpLimits(max_header=4_096)


class Service:
    """What the test's routes have met."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cut_off = asyncio.Event()
        """A handler was cancelled because nobody waits for it."""
        self.stop: Callable[[], None] = lambda: None

    def routes(self, app: FastAPI, _: Any) -> None:
        @app.post("/things")
        async def things(request: Request) -> dict[str, int]:
            return {"bytes": len(parse_json(await read_body(request)))}

        @app.get("/slow")
        async def slow() -> None:
            self.begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                self.cut_off.set()

        @app.get("/large")
        async def large() -> str:
            return "x" * 50_000_000


@asynccontextmanager
async def serving(
    limits: HttpLimits = PATIENT, hosts: Hosts | None = None
) -> AsyncIterator[tuple[int, Service]]:
    """The port of a server, and what its routes have met."""
    service = Service()
    bus: Any = object()
    app = create_app(
        "test",
        why_not_ready=lambda: "",
        max_body=MAX_BODY,
        routes=http_routes(service.routes, bus),
        hosts=hosts,
    )
    server = HttpServer(app, "127.0.0.1", 0, limits, Refusals())
    service.stop = server.stop
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], service
    finally:
        server.stop()
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        await running


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fails after 10 s."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true within 10 s")


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(10):
            status = int((await self.reader.readline()).split()[1])
            headers: dict[str, str] = {}
            while line := (await self.reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            return status, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def problem(self) -> dict[str, Any]:
        """The next answer, which must be a problem."""
        status, headers, body = await self.answer()
        assert headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = json.loads(body)
        assert problem["status"] == status
        return problem

    async def closed(self, within: float = 10.0) -> bytes:
        """What comes until the server closes; fails if it does not."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def hang_up(self) -> None:
        self.writer.transport.abort()


def get(path: str, host: str = "localhost", *more: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"host: {host}", *more, "", ""]
    return "\r\n".join(lines).encode()


def post(path: str, size: int, *more: str) -> bytes:
    """The head of a POST whose body of ``size`` bytes is sent apart."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {size}", *more, "", ""]
    return "\r\n".join(lines).encode()


JSON = "content-type: application/json"
