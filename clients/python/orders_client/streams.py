"""Server-Sent Events (WHATWG HTML, 9.2) that go on after the connection is lost: none is missed, none comes twice."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from orders_client.connection import Connection, Later, Pauses, refusal, succeeded, unanswered
from orders_client.errors import NoAnswer
from orders_client.models import EventView

SILENCE = 60.0
"""Seconds without a byte after which a stream is taken for lost. The service sends a heartbeat far more often."""
COME_BACK = 1.0
"""Seconds after which the client comes back to a stream that has ended, if it said no time (``retry``)."""
NO_CONTENT = 204
"""The answer that ends a stream for good (WHATWG HTML, 9.2.3)."""
_LINE_END = re.compile(r"\r\n|\n|\r(?!$)")


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. ``id`` is where the stream goes on after it, on any replica; ``data`` is the event itself."""

    id: str
    type: str
    data: EventView


class Parser:
    """Reads a stream in pieces as they come.

    ``last_id``: where the stream stands. ``retry``: the seconds to wait before coming back, if the stream said so.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._id, self._type, self._data = last_id, "", list[str]()

    def feed(self, piece: bytes) -> Iterator[StreamEvent]:
        """The events that are complete with this piece."""
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(piece))
        for line in lines:
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                yield event

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdecimal():
            self.retry = int(value) / 1000

    def _dispatch(self) -> StreamEvent | None:
        self.last_id = self._id
        data, kind = "\n".join(self._data), self._type or "message"
        self._data, self._type = [], ""
        return StreamEvent(self.last_id, kind, json.loads(data)) if data else None


async def stream(
    connection: Connection, path: str, query: Mapping[str, Any], after: str | None
) -> AsyncIterator[StreamEvent]:
    """The events at ``path`` after the one with the id ``after``, without end.

    Raises ProblemAnswer if there is no such stream, NoAnswer if the service is away for longer than the patience.
    """
    last_id, pauses = after or "", Pauses(connection.patience)
    while True:
        parser = Parser(last_id)
        later = Later(NoAnswer(f"GET {path}: the stream ended"))
        try:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
            async with connection.opened(
                "GET", path, query=query, headers=headers, silence=SILENCE
            ) as response:
                if response.status == NO_CONTENT:
                    return
                if not succeeded(response):
                    later = await refusal(response)
                else:
                    async for piece in response.content.iter_any():
                        pauses.reset()
                        for event in parser.feed(piece):
                            yield event
                        last_id = parser.last_id
                    later = Later(later.error, COME_BACK if parser.retry is None else parser.retry)
        except (aiohttp.ClientError, TimeoutError) as error:
            later = Later(unanswered("GET", path, error).error, parser.retry)
        await pauses.wait(later)
