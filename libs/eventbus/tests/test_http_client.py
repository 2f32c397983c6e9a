"""The HTTP client of reactors against a real server on the loopback: every way in which a request can end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from eventbus import Poison, Retryable
from eventbus.http_client import MAX_ANSWER, HttpClient

Handler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECRET = "Bearer s3cret"


@asynccontextmanager
async def serving(
    handle: Handler, *, timeout: float = 10.0, connections: int = 100, authorization: str | None = SECRET
) -> AsyncIterator[tuple[HttpClient, list[bytes]]]:
    """A server that reads the head of each request and leaves the answer to ``handle``; and the heads it read."""
    heads: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        current = asyncio.current_task()
        assert current is not None
        tasks.add(current)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                heads.append(head)
                await handle(head, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(
        f"http://127.0.0.1:{port}/v1/", timeout=timeout, connections=connections, authorization=authorization
    )
    try:
        yield client, heads
    finally:
        await client.close()
        for task in tasks:
            task.cancel()
        server.close()


def answering(status: int, body: bytes = b"", *headers: str) -> Handler:
    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Anything", f"content-length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return handle


def sending(raw: bytes) -> Handler:
    """An answer of these bytes, after which the server hangs up."""

    async def handle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    return handle


async def test_an_answer_has_its_status_headers_and_body() -> None:
    async with serving(answering(201, b'{"id":1}', "X-Kind: new")) as (client, heads):
        answer = await client.request("PUT", "/charges/a%2Fb:1", json={"amount": 1}, headers={"X-Try": "2"})
    assert (answer.status, answer.headers["x-kind"], json.loads(answer.text)) == (201, "new", {"id": 1})
    [head] = heads
    assert head.startswith(b"PUT /v1/charges/a%2Fb:1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer s3cret" in head and b"X-Try: 2" in head


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_retryable(status: int) -> None:
    async with serving(answering(status, b"slow down")) as (client, _):
        with pytest.raises(Retryable, match=rf"^GET http://.*/v1/x was answered {status}: 'slow down'$"):
            await client.request("GET", "/x")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 451])
async def test_a_request_that_is_wrong_is_poison(status: int) -> None:
    async with serving(answering(status, b"no")) as (client, _):
        with pytest.raises(Poison, match=str(status)):
            await client.request("DELETE", "/x")


async def test_a_status_that_is_neither_is_retryable_since_nobody_knows_what_was_done() -> None:
    async with serving(answering(304)) as (client, _):
        with pytest.raises(Retryable, match="304"):
            await client.request("GET", "/x")


@pytest.mark.parametrize("status", [404, 503])
async def test_an_expected_status_is_an_answer(status: int) -> None:
    async with serving(answering(status, b"known")) as (client, _):
        answer = await client.request("GET", "/x", expected={404, 503})
    assert (answer.status, answer.body) == (status, b"known")


NO_ANSWERS = {
    "hangs up": b"",
    "garbage": b"garbage\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
    "chunks cut off": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf",
    "not gzip": b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-encoding: gzip\r\n\r\nhalf",
}


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_no_whole_answer_is_retryable_and_shows_no_credentials(name: str) -> None:
    async with serving(sending(NO_ANSWERS[name])) as (client, _):
        with pytest.raises(Retryable, match="no answer") as failed:
            await client.request("GET", "/x")
    assert "s3cret" not in f"{failed.value!r} {failed.value.__cause__!r}"


async def test_an_answer_that_is_too_long_is_not_kept_and_retryable() -> None:
    async with serving(answering(200, b"x" * (MAX_ANSWER + 1))) as (client, _):
        with pytest.raises(Retryable, match=f"longer than {MAX_ANSWER} bytes"):
            await client.request("GET", "/x")
    async with serving(answering(200, b"x" * MAX_ANSWER)) as (client, _):
        assert len((await client.request("GET", "/x")).body) == MAX_ANSWER


async def test_credentials_that_the_answer_repeats_are_in_no_error() -> None:
    async with serving(answering(400, b"you sent Bearer s3cret; s3cret is wrong")) as (client, _):
        with pytest.raises(Poison, match="you sent") as refused:
            await client.request("GET", "/x")
    assert "s3cret" not in str(refused.value)


async def test_an_answer_that_does_not_come_in_time_is_retryable() -> None:
    async def never(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(never, timeout=0.05) as (client, _):
        with pytest.raises(Retryable, match="TimeoutError"):
            await client.request("GET", "/x")


async def test_the_timeout_is_for_the_whole_answer() -> None:
    async def trickle(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(trickle, timeout=0.2) as (client, _):
        with pytest.raises(Retryable, match="TimeoutError"):
            await client.request("GET", "/x")


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = HttpClient(f"http://127.0.0.1:{port}", timeout=5, authorization=SECRET)
    with pytest.raises(Retryable, match="no answer"):
        await client.request("GET", "/x")
    await client.close()


async def test_connections_are_pooled_and_bounded() -> None:
    open_now = most = 0
    seen: set[int] = set()

    async def count(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        seen.add(id(writer))
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        open_now -= 1

    async with serving(count, connections=3) as (client, heads):
        await asyncio.gather(*(client.request("GET", "/x") for _ in range(30)))
        assert len(heads) == 30
    assert len(seen) <= 3 and most <= 3


async def test_it_can_be_closed_before_the_first_request_twice_and_used_again() -> None:
    async with serving(answering(200, b"ok")) as (client, _):
        await client.close()
        assert (await client.request("GET", "/x")).text == "ok"
        await client.close()
        await client.close()
        assert (await client.request("GET", "/x")).text == "ok"


def test_it_is_made_outside_of_any_event_loop() -> None:
    HttpClient("http://127.0.0.1:1", timeout=1)


@pytest.mark.parametrize(
    "url",
    ["http://user:s3cret@127.0.0.1/", "http://s3cret@127.0.0.1/", "ftp://127.0.0.1/s3cret", "s3cret", ""],
)
def test_a_url_that_is_wrong_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="the URL of an HttpClient must") as refused:
        HttpClient(url, timeout=1)
    assert "s3cret" not in str(refused.value)
