"""NDJSON: lines are answered in order while the body still comes, and no more is in memory than is worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from eventbus.http import LinesResponse, add_direct_route, lines_of, require_ndjson
from eventbus.http.app import create_app
from eventbus.http.connections import Refusals
from eventbus.http.lines import Line, LineSplitter
from eventbus.http.server import HttpServer
from eventbus.model.limits import HttpLimits
from testbed.serving import Client, until

LONGEST, WINDOW = 100, 4
HEAD = b"POST /lines HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Echo:
    """Answers each line with itself. ``let`` holds answers back; ``taken`` are the lines that were looked at."""

    def __init__(self) -> None:
        self.taken: list[Line] = []
        self.let = asyncio.Event()
        self.let.set()
        self.hung_up = asyncio.Event()
        self.size = 0

    def routes(self, app: FastAPI) -> None:
        add_direct_route(app, "/lines", self.answer, "POST", streams=True)

    async def answer(self, request: Request) -> Response:
        require_ndjson(request.headers)
        return LinesResponse(self._answers(request), WINDOW)

    async def _answers(self, request: Request) -> AsyncGenerator[asyncio.Future[bytes], None]:
        try:
            async for lines in lines_of(request, LONGEST):
                for line in lines:
                    self.taken.append(line)
                    yield asyncio.ensure_future(self._one(line))
        finally:
            self.hung_up.set()

    async def _one(self, line: Line) -> bytes:
        await self.let.wait()
        return (b"too long" if line.text is None else line.text) + b"." * self.size + b"\n"


@asynccontextmanager
async def serving(limits: HttpLimits | None = None) -> AsyncIterator[tuple[Client, Echo]]:
    echo = Echo()
    app = create_app("test", why_not_ready=lambda: "", max_body=1_000, routes=[echo.routes])
    server = HttpServer(app, "127.0.0.1", 0, limits or HttpLimits(), Refusals())
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    client = await Client.connect(server.servers[0].sockets[0].getsockname()[1])
    try:
        yield client, echo
    finally:
        client.writer.close()
        server.stop()
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        await running


async def head(client: Client) -> dict[str, str]:
    """The headers of the answer, whose status must be 200."""
    async with asyncio.timeout(10):
        assert b" 200 " in await client.reader.readline()
        headers: dict[str, str] = {}
        while line := (await client.reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
    return headers


async def piece(client: Client) -> bytes:
    """The next chunk of the answer; empty at its end."""
    async with asyncio.timeout(10):
        size = int((await client.reader.readline()).strip(), 16)
        data = await client.reader.readexactly(size)
        assert await client.reader.readexactly(2) == b"\r\n"
    return data


@given(st.lists(st.binary(max_size=8)), st.integers(0, 5))
def test_lines_are_the_same_in_whatever_pieces_they_come(pieces: list[bytes], longest: int) -> None:
    body, splitter = b"".join(pieces), LineSplitter(longest)
    found = [line for one in pieces for line in splitter.feed(one)] + splitter.end()
    texts = body.split(b"\n")
    if not texts[-1]:
        texts.pop()  # the body ends with the end of a line, or is empty
    assert [line.number for line in found] == list(range(1, len(texts) + 1))
    for line, text in zip(found, texts, strict=True):
        text = text.removesuffix(b"\r")
        assert line.text == (text if len(text) <= longest else None)


def test_of_a_line_that_never_ends_nothing_is_kept() -> None:
    splitter = LineSplitter(1_000)
    for _ in range(100_000):
        assert splitter.feed(b"x" * 100) == []
        assert len(splitter._begun) <= 1_001
    assert splitter.feed(b"\nshort\n") == [Line(1, None), Line(2, b"short")]


async def test_a_line_is_answered_while_the_next_is_not_sent_yet() -> None:
    async with serving() as (client, _):
        await client.send(CHUNKED + chunk(b"one\ntw"))
        headers = await head(client)
        assert headers["content-type"] == "application/x-ndjson"
        assert "content-length" not in headers
        assert await piece(client) == b"one\n"
        await client.send(chunk(b"o\n"))
        assert await piece(client) == b"two\n"
        await client.send(chunk(b"three") + chunk(b"")[:-2] + b"\r\n")
        assert (await piece(client), await piece(client)) == (b"three\n", b"")


async def test_answers_keep_the_order_of_their_lines_and_share_pieces() -> None:
    async with serving() as (client, echo):
        echo.let.clear()
        body = b"".join(b"%d\n" % number for number in range(WINDOW))
        await client.send(HEAD + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        await until(lambda: len(echo.taken) == WINDOW)
        echo.let.set()
        await head(client)
        found = b""
        while more := await piece(client):
            found += more
        assert found == body


async def test_a_body_may_be_larger_than_others_may_be_and_a_line_may_not() -> None:
    async with serving() as (client, _):
        body = (b"x" * LONGEST + b"\n" + b"y" * (LONGEST + 1) + b"\n") * 100
        await client.send(HEAD + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        await head(client)
        found = b""
        while more := await piece(client):
            found += more
        assert found == (b"x" * LONGEST + b"\ntoo long\n") * 100


async def test_no_more_lines_are_looked_at_than_the_window_has_room_for() -> None:
    async with serving() as (client, echo):
        echo.let.clear()
        await client.send(CHUNKED + chunk(b"line\n" * 1_000))
        await until(lambda: len(echo.taken) >= WINDOW)
        for _ in range(50):
            await asyncio.sleep(0)
        # Those in the window, the one that is waited for, and the one that finds no room.
        assert len(echo.taken) <= WINDOW + 2
        echo.let.set()
        await until(lambda: len(echo.taken) == 1_000)


async def test_who_does_not_read_is_not_read_from_and_in_the_end_cut_off() -> None:
    async with serving(HttpLimits(stall_timeout=1.0, window=600.0)) as (client, echo):
        echo.size = 20_000
        client.writer.write(CHUNKED)

        async def send_for_ever() -> None:
            while True:
                await client.send(chunk(b"line\n" * 1_000))

        with pytest.raises((ConnectionError, TimeoutError)):
            await asyncio.wait_for(send_for_ever(), 30)
        answers = len(echo.taken) * echo.size
        assert answers < 100_000_000, f"{len(echo.taken)} lines were taken, though nobody read their answers"
        await asyncio.wait_for(echo.hung_up.wait(), 10)


async def test_a_client_that_hangs_up_ends_the_work_and_its_last_line_is_none() -> None:
    async with serving() as (client, echo):
        await client.send(CHUNKED + chunk(b"one\nhalf a li"))
        await head(client)
        assert await piece(client) == b"one\n"
        client.hang_up()
        await asyncio.wait_for(echo.hung_up.wait(), 10)
        assert echo.taken == [Line(1, b"one")]


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async with serving() as (client, _):
        await client.send(HEAD + b"expect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        async with asyncio.timeout(10):
            assert await client.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert await client.reader.readline() == b"\r\n"
        await client.send(b"one\n")
        await head(client)
        assert (await piece(client), await piece(client)) == (b"one\n", b"")


@pytest.mark.parametrize(
    "headers",
    [
        b"content-type: application/json\r\n",
        b"content-type: text/plain\r\n",
        b"",
        b"content-type: application/x-ndjson\r\ncontent-type: application/x-ndjson\r\n",
        b"content-type: application/x-ndjson\r\ncontent-encoding: gzip\r\n",
    ],
)
async def test_another_media_type_is_refused(headers: bytes) -> None:
    async with serving() as (client, echo):
        await client.send(
            b"POST /lines HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n" + headers + b"\r\none\n"
        )
        assert (await client.problem())["status"] == 415
        assert echo.taken == []


async def test_an_empty_body_has_an_empty_answer() -> None:
    async with serving() as (client, echo):
        await client.send(HEAD + b"content-length: 0\r\n\r\n")
        await head(client)
        assert await piece(client) == b""
        assert echo.taken == []
