"""A stream of events is read only as fast as its client reads, says that it lives, and ends when it should."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI, Response

from eventbus import Caller, Rule, Scope
from eventbus.access.caller import NotAuthenticated
from eventbus.http import EventStream, stream_event, stream_position
from eventbus.http.access import Access
from eventbus.http.app import create_app
from eventbus.http.connections import Refusals, Refused
from eventbus.http.server import HttpServer
from eventbus.metrics import HTTP_REFUSED, HTTP_STREAMS
from eventbus.model.limits import HttpLimits
from testbed.serving import Client, get, until

QUICK = HttpLimits(heartbeat=0.05, stall_timeout=0.5)
PATIENT = HttpLimits()


class Numbers:
    """Sends numbers up to one that the test sets, each with some bytes beside it."""

    def __init__(self, padding: int = 0) -> None:
        self.upto, self.taken, self.over = 0, 0, ""
        self._padding = "x" * padding
        self._changed = asyncio.Event()

    def go(self, upto: int) -> None:
        self.upto = upto
        self._changed.set()

    def end(self) -> None:
        self.over = "it is enough"
        self._changed.set()

    def begin(self) -> bytes:
        return stream_position(str(self.taken))

    def take(self) -> bytes | None:
        self._changed.clear()
        if self.taken == self.upto:
            return None
        self.taken += 1
        return stream_event(str(self.taken), "Number", f'"{self.taken} {self._padding}"'.encode())

    async def change(self) -> None:
        await self._changed.wait()

    def why_over(self) -> str:
        return self.over


class Known:
    """An authenticator for which all requests come from one caller, or from nobody."""

    def __init__(self) -> None:
        self.who: Caller | None = Caller("key:anne", "api_key", frozenset({Scope.READ}), "anne")

    async def caller(self, authorization: list[str]) -> Caller:
        if self.who is None:
            raise NotAuthenticated("the key is unknown, or no longer valid")
        return self.who


class Streaming:
    """A server with one route, and the sources of the streams that are open."""

    def __init__(self, limits: HttpLimits, padding: int) -> None:
        self.open: list[Numbers] = []
        self.closed = 0
        self._padding = padding
        self.known = Known()
        authenticator: Any = self.known
        app = create_app(
            "test",
            why_not_ready=lambda: "",
            max_body=1_000,
            routes=[self._routes],
            rules={"GET /numbers": Rule(Scope.READ, customers=True)},
            access=Access(authenticator),
            limits=limits,
        )
        self.server = HttpServer(app, "127.0.0.1", 0, limits, Refusals(), on_shutdown=self._end)

    def _routes(self, app: FastAPI) -> None:
        @app.get("/numbers", response_class=Response)
        async def numbers() -> EventStream:
            return EventStream(self._source)

    @contextmanager
    def _source(self) -> Iterator[Numbers]:
        source = Numbers(self._padding)
        self.open.append(source)
        try:
            yield source
        finally:
            self.closed += 1
            self.open.remove(source)

    def _end(self) -> None:
        for source in self.open:
            source.end()

    async def connect(self, receive_buffer: int | None = None) -> Client:
        """A client whose stream has begun."""
        count = len(self.open)
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, self.address)
        client = Client(*await asyncio.open_connection(sock=raw, limit=16_384))
        await client.send(get("/numbers"))
        await until(lambda: len(self.open) > count)
        return client

    @property
    def address(self) -> Any:
        return self.server.servers[0].sockets[0].getsockname()


@asynccontextmanager
async def streaming(limits: HttpLimits = PATIENT, padding: int = 0) -> AsyncIterator[Streaming]:
    service = Streaming(limits, padding)
    running = asyncio.create_task(service.server.serve())
    await until(lambda: service.server.started)
    try:
        yield service
    finally:
        service.server.stop()
        for connection in tuple(service.server.server_state.connections):
            connection.transport.abort()
        await running


async def lines_up_to(client: Client, wanted: bytes) -> list[bytes]:
    """The lines of the answer that come, up to one that is wanted; sizes of chunks are left out."""
    found: list[bytes] = []
    async with asyncio.timeout(10):
        while wanted not in found:
            line = await client.reader.readline()
            assert line, found
            if not line.endswith(b"\r\n"):
                found.append(line.rstrip(b"\n"))
    return found


async def head_of(client: Client) -> dict[str, str]:
    status, headers, _ = await client.answer()
    assert status == 200
    return headers


async def test_a_stream_says_what_it_is_and_is_neither_stored_nor_buffered_on_its_way() -> None:
    async with streaming() as service:
        client = await service.connect()
        headers = await head_of(client)
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert "content-length" not in headers
        first = await lines_up_to(client, b"id: 0")
        assert first[0].startswith(b"retry: ")
        assert 500 <= int(first[0].removeprefix(b"retry: ")) <= 2_500


async def test_events_come_when_they_happen_in_their_order() -> None:
    async with streaming() as service:
        client = await service.connect()
        await head_of(client)
        await lines_up_to(client, b"id: 0")
        service.open[0].go(2)
        found = await lines_up_to(client, b'data: "2 "')
        service.open[0].go(3)
        found += await lines_up_to(client, b'data: "3 "')
        assert [line for line in found if line] == [
            line for n in (1, 2, 3) for line in (b"id: %d" % n, b"event: Number", b'data: "%d "' % n)
        ]


async def test_a_stream_without_events_says_that_it_lives() -> None:
    async with streaming(QUICK) as service:
        client = await service.connect()
        await head_of(client)
        assert b":" in await lines_up_to(client, b":")
        service.open[0].go(1)
        await lines_up_to(client, b'data: "1 "')


async def test_what_a_client_has_no_room_for_is_not_read() -> None:
    async with streaming(padding=10_000) as service:
        client = await service.connect(receive_buffer=4_096)
        source = service.open[0]
        source.go(100_000)  # a gigabyte
        await until(lambda: source.taken > 0)
        taken = -1
        while taken != source.taken:  # the buffers of both sockets fill up
            taken = source.taken
            await asyncio.sleep(0.2)
        assert taken < 50
        connection = next(iter(service.server.server_state.connections))
        assert connection.transport.get_write_buffer_size() < 100_000
        await head_of(client)
        await lines_up_to(client, b"id: 5")
        client.hang_up()


@pytest.mark.parametrize("bytes_a_turn", [0, 500])
async def test_a_client_that_reads_too_slowly_is_cut_off(bytes_a_turn: int) -> None:
    """Also one that reads a little now and then, which the server's own limit for stalled clients lets pass."""
    refused = HTTP_REFUSED.labels(Refused.SLOW_READER.value)
    before = refused._value.get()
    async with streaming(QUICK, padding=10_000) as service:
        client = await service.connect(receive_buffer=4_096)
        service.open[0].go(100_000)
        async with asyncio.timeout(10):
            while service.open:
                if bytes_a_turn:
                    await client.reader.read(bytes_a_turn)
                await asyncio.sleep(0.05)
        assert service.closed == 1
        assert refused._value.get() == before + 1
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.reader.readexactly(100_000_000)


async def test_a_client_that_hangs_up_leaves_nothing_behind() -> None:
    async with streaming() as service:
        client = await service.connect()
        assert HTTP_STREAMS._value.get() == 1
        client.hang_up()
        await until(lambda: service.closed == 1)
        await until(lambda: HTTP_STREAMS._value.get() == 0)


async def test_a_stream_that_is_over_ends_in_good_order_and_the_connection_serves_on() -> None:
    async with streaming() as service:
        client = await service.connect()
        await head_of(client)
        service.open[0].end()
        assert b": it is enough" in await lines_up_to(client, b": it is enough")
        assert (await client.reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
        await client.send(get("/healthz"))
        assert (await client.answer())[0] == 200


async def test_a_stream_ends_after_its_time_once_all_that_there_is_was_sent() -> None:
    async with streaming(replace(PATIENT, stream_time=0.2)) as service:
        client = await service.connect()
        await head_of(client)
        service.open[0].go(3)
        found = await lines_up_to(client, b": its time is over: it goes on where it was when you ask again")
        assert b'data: "3 "' in found
        await until(lambda: service.closed == 1)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_stream_ends_when_its_credentials_are_no_longer_valid(busy: bool) -> None:
    async with streaming(QUICK) as service:
        client = await service.connect()
        await head_of(client)
        await lines_up_to(client, b"id: 0")
        service.known.who = None
        while service.open:
            service.open[0].go(service.open[0].taken + busy)
            await asyncio.sleep(0)
        await lines_up_to(client, b": its credentials are no longer valid")


async def test_a_client_that_knows_no_chunks_is_told_so() -> None:
    async with streaming() as service:
        client = await Client.connect(service.address[1])
        await client.send(b"GET /numbers HTTP/1.0\r\n\r\n")
        assert (await client.problem())["status"] == 505
        assert not service.open


async def test_the_reason_of_an_end_forges_no_event() -> None:
    """It may name what a record says, and anybody may have written that."""
    async with streaming() as service:
        client = await service.connect()
        await head_of(client)
        service.open[0].over = "a key \n\nevent: Forged\ndata: {}\r\ud800"
        service.open[0].go(0)
        await lines_up_to(client, rb": a key \n\nevent: Forged\ndata: {}\r\ud800")


async def test_a_server_that_stops_ends_its_streams_in_good_order_at_once() -> None:
    async with streaming() as service:
        clients = [await service.connect() for _ in range(20)]
        service.server.stop()
        async with asyncio.timeout(3):
            ends = [await client.reader.read() for client in clients]
        assert all(b": it is enough\n\n\r\n0\r\n\r\n" in end for end in ends)


async def test_streams_leave_connections_to_others() -> None:
    async with streaming(replace(PATIENT, max_connections=8)) as service:
        clients = [await service.connect() for _ in range(6)]
        last = await Client.connect(service.address[1])
        await last.send(get("/numbers"))
        problem = await last.problem()
        assert (problem["status"], "too many streams" in problem["detail"]) == (503, True)
        await last.send(get("/healthz"))
        assert (await last.answer())[0] == 200
        clients[0].hang_up()
        await until(lambda: service.closed == 1)
        await service.connect()
