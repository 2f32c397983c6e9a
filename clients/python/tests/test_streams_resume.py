"""A stream goes on where it stood, whatever happens to its connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from fake_service import Fake, Handler, fake, hangs_up, problem
from orders_client import NoAnswer, Orders, ProblemAnswer, streams
from orders_client.streams import Parser, StreamEvent

__all__ = ["fake"]


def event(number: int) -> bytes:
    data = json.dumps({"version": number, "type": "OrderPaid"})
    return f"id: {number}\nevent: OrderPaid\ndata: {data}\n\n".encode()


def streamed(*pieces: bytes, then: str = "close") -> Handler:
    """A stream of these pieces, which then ends, is cut, or hangs."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then == "hang":
            await asyncio.Event().wait()
        if then == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


async def ids(events: AsyncIterator[StreamEvent], count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(10):
        async for one in events:
            found.append(one.id)
            if len(found) == count:
                break
    return found


async def test_each_connection_begins_after_the_last_event_that_came(fake: Fake) -> None:
    fake.answers(
        streamed(b"retry: 1\nid: 0\n\n", event(1), event(2)),
        streamed(b"retry: 1\n", event(3), b"id: 4\ndata: {", then="cut"),
        hangs_up,
        problem(503, "unavailable", Retry_After="0"),
        streamed(b":\n\n", event(4), event(5), then="hang"),
    )
    async with Orders(fake.url) as orders:
        assert await ids(orders.stream("o-1"), 5) == ["1", "2", "3", "4", "5"]
    assert fake.headers("Last-Event-ID") == [None, "2", "3", "3", "3"]
    assert {request.path for request in fake.requests} == {"/orders/o-1/stream"}


async def test_it_begins_where_the_caller_says_and_where_the_service_says(fake: Fake) -> None:
    """The stream of a user begins now: where that is comes before the first event."""
    fake.answers(streamed(b"retry: 1\nid: 7-9\n\n"), streamed(event(8), then="hang"))
    async with Orders(fake.url) as orders:
        assert await ids(orders.stream_of_user("u 1", after="5-5"), 1) == ["8"]
    assert fake.headers("Last-Event-ID") == ["5-5", "7-9"]
    assert dict(fake.requests[0].query) == {"userId": "u 1"}


async def test_a_connection_that_falls_silent_is_given_up(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENCE", 0.2)
    fake.answers(streamed(event(1), then="hang"), streamed(event(2), then="hang"))
    async with Orders(fake.url) as orders:
        assert await ids(orders.stream("o-1"), 2) == ["1", "2"]
    assert fake.headers("Last-Event-ID") == [None, "1"]


async def test_a_stream_that_is_refused_is_an_error_and_one_that_is_over_ends(fake: Fake) -> None:
    async def over(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    fake.answers(problem(404, "order-not-found"), streamed(b"retry: 1\n\n", event(1)), over)
    async with Orders(fake.url) as orders:
        with pytest.raises(ProblemAnswer, match="404"):
            await ids(orders.stream("o-1"), 1)
        assert await ids(orders.stream("o-1"), 2) == ["1"]


async def test_a_service_that_stays_away_is_an_error_in_the_end() -> None:
    async with Orders("http://127.0.0.1:1", patience=0.3) as orders:
        with pytest.raises(NoAnswer, match="GET /orders/o-1/stream"):
            await ids(orders.stream("o-1"), 1)


WHOLE = (
    b"\xef\xbb\xbf: hello\r\nretry: 1500\r\rid: 0\n\n"
    b'id: 1\nevent: A\ndata: {\ndata:"a": "\xc3\xa9"}\n\nid: 2\r\ndata: {}\r\n\r\n'
    b"data: 3\nid: a\x00b\nother: x\n\n"
)
EVENTS = [("1", "A", {"a": "é"}), ("2", "message", {}), ("2", "message", 3)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_comes_in_any_pieces_is_the_same(size: int) -> None:
    parser = Parser()
    pieces = [WHOLE[start : start + size] for start in range(0, len(WHOLE), size)]
    found = [(one.id, one.type, one.data) for piece in pieces for one in parser.feed(piece)]
    assert found == EVENTS
    assert (parser.last_id, parser.retry) == ("2", 1.5)
