"""What a server may not do with a hostile request is found, and the same seed sends the same requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tools.openapi import documents
from verification.requests.__main__ import wrong_with
from verification.requests.drawn import Requests
from verification.requests.exchange import Hostile, Outcome, exchange, statuses
from verification.requests.values import SMUGGLED

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REQUEST = Hostile("good", (b"GET / HTTP/1.1\r\n\r\n",))


@asynccontextmanager
async def server(answer: bytes, closes: bool = True) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if closes:
            writer.close()

    found = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield found.sockets[0].getsockname()[1]
    found.close()


@pytest.mark.parametrize(
    ("answer", "closes", "wrong"),
    [
        (OK, True, ""),
        (OK, False, ""),
        (b"", True, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, True, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n", True, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", True, "answered 503"),
        (b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", True, "answered 500"),
        (OK + OK, True, "answered 2 times: (200, 200)"),
        (OK + b"HTTP/1.1 500 Oops\r\n\r\n", True, "answered 500"),
        (b"", False, "no answer and no end within 1 s"),
    ],
)
async def test_what_may_not_be_is_found(answer: bytes, closes: bool, wrong: str) -> None:
    async with server(answer, closes) as port:
        outcome = await exchange("127.0.0.1", port, REQUEST, patience=1.0)
    assert wrong_with(REQUEST, outcome) == wrong


def test_a_status_line_that_a_body_repeats_is_no_answer() -> None:
    assert statuses(b'HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{"it was": "HTTP/1.1 500 Oops"}') == (200,)
    assert wrong_with(REQUEST, Outcome((), False, True, 0.1, b"")) == ""


def test_the_same_seed_sends_the_same_to_every_route() -> None:
    document = documents()["order"]
    drawn, again, other = (
        [one.pieces for one in Requests(document, "localhost", seed).drawn(500)] for seed in ("1", "1", "2")
    )
    assert drawn == again != other
    sent = b"".join(piece for pieces in drawn for piece in pieces)
    for path in document["paths"]:
        assert path.partition("{")[0].encode() in sent
    assert SMUGGLED in sent


def test_each_kind_is_drawn() -> None:
    requests = Requests(documents()["inventory"], "localhost", "1")
    kinds = {one.kind.partition(" ")[0] for one in requests.drawn(300)}
    assert kinds == {"headers", "body", "target", "chunks", "framing", "broken", "piped"}
    assert len({one.kind for one in requests.slow()}) == 7
