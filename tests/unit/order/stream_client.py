"""Reads a stream from an application directly, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from fastapi import FastAPI

from eventbus import Caller
from eventbus.access import ANONYMOUS
from eventbus.http.callers import CALLER


class StreamEvent(NamedTuple):
    """One event as a client gets it."""

    id: str
    type: str
    data: dict[str, Any]


class StreamClient:
    """One request, and what was sent for it so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id = ""
        """The id that came last, with an event or alone."""
        self.comments: list[str] = []
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._text = ""

    async def next(self) -> StreamEvent | None:
        """The next event; None once the stream has ended."""
        async with asyncio.timeout(5):
            while (block := await self._block()) is not None:
                fields = dict(line.partition(": ")[::2] for line in block.splitlines())
                self.last_id = fields.get("id", self.last_id)
                if "" in fields:
                    self.comments.append(fields[""])
                if "data" in fields:
                    return StreamEvent(self.last_id, fields["event"], json.loads(fields["data"]))
        return None

    async def events(self, count: int) -> list[StreamEvent]:
        """So many events."""
        found = [await self.next() for _ in range(count)]
        assert None not in found
        return [event for event in found if event]

    async def nothing(self) -> None:
        """Fails if an event has come that was not read."""
        for _ in range(10):
            await asyncio.sleep(0)
        while not self._pieces.empty():
            self._text += (self._pieces.get_nowait() or b"").decode()
        assert "data:" not in self._text, self._text

    def body(self) -> dict[str, Any]:
        """The answer that came instead of a stream."""
        pieces = []
        while not self._pieces.empty():
            pieces.append(self._pieces.get_nowait() or b"")
        found: dict[str, Any] = json.loads(b"".join(pieces))
        return found

    async def _block(self) -> str | None:
        while "\n\n" not in self._text:
            piece = await self._pieces.get()
            if piece is None:
                return None
            self._text += piece.decode()
        block, _, self._text = self._text.partition("\n\n")
        return block

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self._pieces.put_nowait(message["body"])
            if not message.get("more_body"):
                self._pieces.put_nowait(None)
            self._begun.set()


@asynccontextmanager
async def opened(
    app: FastAPI, path: str, query: str = "", last_event_id: str | None = None, caller: Caller = ANONYMOUS
) -> AsyncIterator[StreamClient]:
    """A client whose answer has begun; it hangs up in the end."""
    client = StreamClient()
    headers = [(b"host", b"localhost")]
    if last_event_id is not None:
        headers.append((b"last-event-id", last_event_id.encode("latin-1")))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "scheme": "http",
        CALLER: caller,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    request = asyncio.ensure_future(app(scope, receive, client._send))
    try:
        async with asyncio.timeout(5):
            await client._begun.wait()
        yield client
    finally:
        request.cancel()
        await asyncio.wait([request])
