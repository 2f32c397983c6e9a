"""NDJSON, one JSON text a line, in and out: no more of it is in memory than what is worked on just now.

Lines are answered in their order while the body still comes. Who does not read the answers is not read from either:
then the client's sending stops, and after ``stall_timeout`` the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from eventbus.http.problem_types import UNSUPPORTED_MEDIA_TYPE
from eventbus.http.problems import Problem

NDJSON = "application/x-ndjson"
NAMES = (NDJSON, "application/ndjson", "application/jsonl")
JOINED = 65_536
"""Bytes of answers that are ready, and sent as one piece."""


class Line(NamedTuple):
    """A line of a body, without its end. ``number`` counts from 1; ``text`` is None if it is longer than allowed."""

    number: int
    text: bytes | None


class LineSplitter:
    """Cuts the pieces of a body into lines of at most ``longest`` bytes. Of a longer line nothing is kept."""

    def __init__(self, longest: int) -> None:
        self._longest, self._number = longest, 0
        self._begun, self._is_too_long = bytearray(), False

    def feed(self, piece: bytes) -> list[Line]:
        """The lines that end in this piece."""
        *ended, rest = piece.split(b"\n")
        lines = []
        for text in ended:
            self._add(text)
            lines.append(self._end())
        self._add(rest)
        return lines

    def end(self) -> list[Line]:
        """The last line, if the body does not end with the end of a line."""
        return [self._end()] if self._begun or self._is_too_long else []

    def _add(self, text: bytes) -> None:
        if (
            self._is_too_long or len(self._begun) + len(text) > self._longest + 1
        ):  # one more: it may end with CR
            self._begun.clear()
            self._is_too_long = True
        else:
            self._begun += text

    def _end(self) -> Line:
        self._number += 1
        text = bytes(self._begun).removesuffix(b"\r")
        is_too_long = self._is_too_long or len(text) > self._longest
        self._begun.clear()
        self._is_too_long = False
        return Line(self._number, None if is_too_long else text)


def require_ndjson(headers: Headers) -> None:
    """Raises Problem 415 unless the body says that it is NDJSON, uncompressed.

    It must say so: a web page can post anything else to any site without asking.
    """
    types = [one.partition(";")[0].strip().lower() for one in headers.getlist("content-type")]
    wrong = "" if len(types) == 1 and types[0] in NAMES else f"the body needs one Content-Type: {NDJSON}"
    if any(one.strip().lower() not in ("", "identity") for one in headers.getlist("content-encoding")):
        wrong = "the body must not be compressed (Content-Encoding)"
    if wrong:
        raise Problem(UNSUPPORTED_MEDIA_TYPE, wrong, headers={"Accept": NDJSON})


async def lines_of(request: Request, longest: int) -> AsyncIterator[list[Line]]:
    """The lines of a body, as they come. If the client hangs up, the line that it was sending is none."""
    splitter, more = LineSplitter(longest), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if lines := splitter.feed(message.get("body", b"")):
            yield lines
        more = message.get("more_body", False)
    if lines := splitter.end():
        yield lines


class LinesResponse(Response):
    """Answers, each a line with its end, in the order in which ``answers`` gives their futures.

    At most ``window`` of them are waited for at a time; ``answers`` is asked for no more until the first is sent.
    """

    def __init__(self, answers: AsyncGenerator[asyncio.Future[bytes], None], window: int) -> None:
        super().__init__(media_type=NDJSON, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._answers, self._window, self._has_begun = answers, window, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue(self._window)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fill(queue))
                async for piece in _in_order(queue):
                    await self._begin(send)
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._begin(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            while not queue.empty():
                if (answer := queue.get_nowait()) is not None:
                    answer.cancel()

    async def _begin(self, send: Send) -> None:
        """Send the head, but not before the body was asked for: a client may wait for 100 (Continue) until then."""
        if not self._has_begun:
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _fill(self, queue: asyncio.Queue[asyncio.Future[bytes] | None]) -> None:
        try:
            async with aclosing(self._answers):
                async for answer in self._answers:
                    await queue.put(answer)
        except ClientDisconnect:
            pass  # nobody is there to read the rest
        await queue.put(None)


async def _in_order(queue: asyncio.Queue[asyncio.Future[bytes] | None]) -> AsyncIterator[bytes]:
    """What the futures give, in their order; what is there already is joined."""
    pieces: list[bytes] = []
    while (answer := await queue.get()) is not None:
        if pieces and not answer.done():
            yield b"".join(pieces)
            pieces.clear()
        pieces.append(await answer)
        if queue.empty() or sum(map(len, pieces)) > JOINED:
            yield b"".join(pieces)
            pieces.clear()
    if pieces:
        yield b"".join(pieces)
