"""Server-Sent Events (WHATWG HTML, 9.2), pulled: what is sent next is read only once the client has room for it.

So a stream holds no queue. In this process it has the socket's buffer of 64 kB, and the piece that waits for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from fastapi import Response
from starlette.types import Receive, Scope, Send

from eventbus.http.callers import is_still_allowed
from eventbus.http.connections import ReadTooSlowly, Refusals, Refused
from eventbus.http.problem_types import OTHER, TOO_MANY_STREAMS
from eventbus.http.problems import Problem
from eventbus.metrics import HTTP_STREAMS
from eventbus.model.limits import HttpLimits

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT = b":\n\n"
RETRY_MS = (500, 2_500)
"""After a stream has ended its client comes back within these times, drawn for each: not all at one moment."""


class Source(Protocol):
    """What a stream sends."""

    def begin(self) -> bytes:
        """Where the stream begins, as :func:`stream_position` makes it."""
        ...

    def take(self) -> bytes | None:
        """The next event, as :func:`stream_event` makes it; None if there is none yet."""
        ...

    async def change(self) -> None:
        """Return once there may be something new."""
        ...

    def why_over(self) -> str:
        """Why the stream ends, in one line; empty while it goes on."""
        ...


def stream_event(identity: str, kind: str, data: bytes) -> bytes:
    """One event: ``id``, ``event`` and ``data``, none of which has a line break."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (identity.encode(), kind.encode(), data)


def stream_position(identity: str) -> bytes:
    """Where the stream begins. No event: the client only remembers the ``id``."""
    return b"id: %s\n\n" % identity.encode()


class OpenStreams:
    """The streams of one server: three quarters of its connections at most, since others want to be served too."""

    def __init__(self, limits: HttpLimits, refusals: Refusals) -> None:
        self.limits, self.refusals = limits, refusals
        self._most = max(1, limits.max_connections * 3 // 4)
        self._count = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Within it one more is open. Raises Problem 503 if there are too many."""
        if self._count >= self._most:
            self.refusals.note(Refused.STREAMS)
            detail = "there are too many streams; ask again in a moment"
            raise Problem(TOO_MANY_STREAMS, detail, headers={"Retry-After": "1"})
        self._count += 1
        HTTP_STREAMS.set(self._count)
        try:
            yield
        finally:
            self._count -= 1
            HTTP_STREAMS.set(self._count)


class EventStream(Response):
    """An answer that goes on until its source is over, its time is over, or the client leaves or reads too slowly.

    ``opened``: gives the source, and closes it in the end. ``seconds``: how long it goes on at most, if that is less
    than any stream may (``EVENTBUS_HTTP_STREAM_TIME``). What there is already is sent in any case.
    """

    def __init__(
        self, opened: Callable[[], AbstractContextManager[Source]], seconds: float | None = None
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._opened, self._seconds = opened, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["http_version"] == "1.0":
            # It knows no chunks, so it could not tell the end of the stream from a broken connection.
            raise Problem(OTHER, "a stream needs HTTP/1.1", status=505, title="HTTP Version Not Supported")
        streams: OpenStreams = scope["app"].state.streams
        with streams.admit(), self._opened() as source:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_all(source, _Writer(send, streams.limits), streams.limits, scope)

    async def _send_all(self, source: Source, writer: _Writer, limits: HttpLimits, scope: Scope) -> None:
        clock = asyncio.get_running_loop().time
        seconds = limits.stream_time * random.uniform(0.75, 1.0)  # not all that began together end together
        end = clock() + (seconds if self._seconds is None else min(seconds, self._seconds))
        check = clock() + limits.heartbeat
        await writer.write(b"retry: %d\n" % random.randint(*RETRY_MS) + source.begin())
        while not (reason := source.why_over()):
            if clock() >= check:
                check = clock() + limits.heartbeat
                if not await is_still_allowed(scope):
                    reason = "its credentials are no longer valid"
                    break
            if (piece := source.take()) is not None:
                await writer.write(piece)
                await asyncio.sleep(
                    0
                )  # writing does not wait while there is room, and others want their turn
            elif (left := end - clock()) <= 0:
                reason = "its time is over: it goes on where it was when you ask again"
                break
            elif not await _is_told(source, min(left, limits.heartbeat)) and left > limits.heartbeat:
                await writer.write(HEARTBEAT)
        await writer.write(b": %s\n\n" % reason.encode(), more=False)


async def _is_told(source: Source, seconds: float) -> bool:
    """Whether there may be something new within that time."""
    try:
        async with asyncio.timeout(seconds):
            await source.change()
    except TimeoutError:
        return False
    return True


class _Writer:
    """Sends pieces of the body, each as soon as there is room."""

    def __init__(self, send: Send, limits: HttpLimits) -> None:
        self._send, self._patience = send, limits.stall_timeout

    async def write(self, piece: bytes, *, more: bool = True) -> None:
        """Raises ReadTooSlowly if there is no room for long, which ends the connection."""
        try:
            async with asyncio.timeout(self._patience):
                await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            raise ReadTooSlowly from None
