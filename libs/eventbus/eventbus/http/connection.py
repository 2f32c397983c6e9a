"""One HTTP connection: uvicorn's, with the limits that it lacks.

The phases of the parser, and the limits that hold in each:

    NEW, IDLE ──first byte──▶ HEAD ──headers complete──▶ BODY ──message complete──▶ IDLE
     keep_alive          header_timeout, max_header    body_rate

After an answer that ends the connection the server reads on for a while and drops what it reads. A socket closed with
bytes unread is reset, and after a reset the client may not see the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
from enum import Enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from eventbus.http.connections import OpenConnections, ReadTooSlowly, Refused
from eventbus.http.problem_types import (
    CONTENT_TOO_LARGE,
    HEADERS_TOO_LARGE,
    MALFORMED_REQUEST,
    REQUEST_TIMEOUT,
    TOO_MANY_CONNECTIONS,
    ProblemType,
)

LINGER_SECONDS = 5.0
LINGER_BYTES = 32 * 1024 * 1024
"""Bytes that are read from a client, and dropped, after its answer was sent."""
PADDING = 65_536
"""Bytes of chunk sizes, extensions and trailers that any body may have; beyond, eight for each byte of body."""
MAX_PIPELINED = 16
MAX_JOINED = 65_536
"""Bytes of two pieces that are written as one: to copy more costs more than another call."""

UNSENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
MAX_UNSENT = 65_536
"""Bytes that the kernel takes before it can send them. Without this limit it takes megabytes that are written for a
client that does not read, and no limit here counts them."""


class Phase(Enum):
    """What the parser reads, or waits for."""

    IDLE = "the first byte of a request"
    HEAD = "headers"
    BODY = "a body"


class Transport:
    """The transport as uvicorn sees it: its ``close`` is :meth:`Connection.end`.

    uvicorn writes the head of an answer, then its body. A piece waits for the next one, or for the end of this
    iteration of the loop, so that both go to the kernel in one call.
    """

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport, self._connection = transport, connection
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._connection.ending or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self._held and len(self._held) + len(data) <= MAX_JOINED:
            data, self._held = self._held + data, b""
            self._write(data)
            return
        self.flush()
        self._held = data
        self._connection.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the piece that waits, if one does."""
        held, self._held = self._held, b""
        if held:
            self._write(held)

    def _write(self, data: bytes) -> None:
        if not self.is_closing():  # uvloop raises, where asyncio drops what is written
            self._transport.write(data)

    def close(self) -> None:
        self._connection.end()


class Connection(HttpToolsProtocol):
    """uvicorn's protocol within limits, one of the open ``connections``. Times are the event loop's."""

    def __init__(self, connections: OpenConnections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections, self._limits = connections, connections.limits
        self._phase = Phase.IDLE
        self._since = self.loop.time()
        """Since when the parser waits, or reads headers; while it reads a body: the start of the window."""
        self._head = self._body = self._overhead = self._body_before = 0
        self._head_at_most = 0
        """Bytes that came since the headers began, and maybe some before: the headers have no more."""
        self._dropped = 0
        self._answered_at: float | None = None
        """When the answer to a request was complete whose body is not."""
        self._rejection: tuple[Refused, ProblemType] | None = None
        self._answering: tuple[RequestResponseCycle, asyncio.Task[None]] | None = None
        self._unread, self._unread_since = 0, self._since
        self._reads_no_more = self.ending = False
        self._ended_at = self._since

    # Called by the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the connection to the open ones, or answer 503 if there are too many."""
        self._raw, self._output = transport, Transport(transport, self)
        if UNSENT is not None:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, UNSENT, MAX_UNSENT)
        super().connection_made(self._output)  # type: ignore[arg-type]
        if not self._connections.admit(self):
            self.ending = True
            self._write(
                TOO_MANY_CONNECTIONS,
                "there are too many connections; ask again in a moment",
                b"retry-after: 1\r\n",
            )
            self._raw.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by the client or from here: nobody waits for an answer any more."""
        self._connections.leave(self)
        super().connection_lost(exc)
        if self._answering is not None:
            cycle, task = self._answering
            if not cycle.response_complete:
                cycle.disconnected = True
                task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, within the limits."""
        if self.ending or self._reads_no_more:
            self._drop(len(data))
            return
        before, body_before = self._phase, self._body
        self._head_at_most = len(data) if before is not Phase.HEAD else self._head_at_most + len(data)
        if before is Phase.IDLE:
            self._begin_head()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # RFC 9110, 7.8: a request for another protocol may be ignored. The parser reads no further after it.
            self.cycle.keep_alive, self._reads_no_more = False, True
        except httptools.HttpParserError:
            self._refuse(*(self._rejection or (Refused.MALFORMED, MALFORMED_REQUEST)))
            return
        if self._phase is Phase.HEAD and before is not Phase.BODY:
            self._head += len(data)
            if self._head > self._limits.max_header:
                self._refuse(Refused.LONG_HEADERS, HEADERS_TOO_LARGE)
        elif self._phase is Phase.BODY and before is Phase.BODY:
            self._overhead += len(data) - (self._body - body_before)
            if self._overhead > PADDING + 8 * self._body:
                self._refuse(Refused.PADDED_BODY, CONTENT_TOO_LARGE)
            elif self._answered_at is not None:
                self._drop(len(data))

    # Called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._phase is not Phase.HEAD:
            self._begin_head()

    def on_headers_complete(self) -> None:
        if self._head_at_most > self._limits.max_header < self._head_size():
            self._rejection = Refused.LONG_HEADERS, HEADERS_TOO_LARGE
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._rejection = Refused.PIPELINED, MALFORMED_REQUEST
        if self._rejection:
            raise ValueError(
                self._rejection[0]
            )  # the parser stops, and raises an HttpParserError in data_received
        self._phase, self._since, self._answered_at = Phase.BODY, self.loop.time(), None
        self._body = self._body_before = self._overhead = self._dropped = 0
        self._connections.busy(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase, self._since = Phase.IDLE, self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Not uvicorn's: that sets a timer after each answer, and :meth:`sweep` ends what is idle anyway."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline and (self._answering is None or self._answering[0].response_complete):
            self._connections.idle(self)
        if self._phase is Phase.BODY:
            self._answered_at = self.loop.time()
        elif self._phase is Phase.IDLE:
            self._since = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError as reason:
                if isinstance(reason, ReadTooSlowly):
                    self._connections.refusals.note(Refused.SLOW_READER)
                # The client has closed, or the server stops and has waited long enough: no error of the handler.
                cycle.disconnected = True
                self.abort()

        task = self.loop.create_task(cycle.run_asgi(answer))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._answering = cycle, task

    # Ends of a connection

    def sweep(self, now: float) -> None:
        """Called about twice a second: end what takes too long."""
        limits, waited = self._limits, now - self._since
        if self._is_stalled(now):
            self._connections.refusals.note(Refused.STALLED)
            self.abort()
        elif self.ending:
            if self._unread:
                self._ended_at = now
            elif now - self._ended_at > LINGER_SECONDS:
                self.abort()
        elif self.flow.read_paused and self._client_has_closed():
            self.abort()
        elif self._phase is Phase.BODY:
            self._sweep_body(now)
        elif self.flow.read_paused or self._reads_no_more:
            self._since = now
        elif self._phase is Phase.HEAD and waited > limits.header_timeout:
            self._refuse(Refused.SLOW_HEADERS, REQUEST_TIMEOUT)
        elif self._phase is Phase.IDLE and not self._is_answering() and waited > self._may_idle():
            self.end()

    def _sweep_body(self, now: float) -> None:
        if self._answered_at is not None:
            if now - self._answered_at > LINGER_SECONDS:
                self.abort()
        elif self.flow.read_paused:
            self._since, self._body_before = now, self._body
        elif (took := now - self._since) >= self._limits.window:
            if self._body - self._body_before < self._limits.body_rate * took:
                self._refuse(Refused.SLOW_BODY, REQUEST_TIMEOUT)
            self._since, self._body_before = now, self._body

    def _client_has_closed(self) -> bool:
        """Ask the socket: the loop learns of it only while it reads."""
        poll = select.poll()
        poll.register(
            self._raw.get_extra_info("socket").fileno(), getattr(select, "POLLRDHUP", select.POLLHUP)
        )
        return bool(poll.poll(0))

    def _is_stalled(self, now: float) -> bool:
        """Whether the client has read nothing of what was written for it, for too long."""
        unread = self._raw.get_write_buffer_size()
        if not unread or unread != self._unread:
            self._unread, self._unread_since = unread, now
        return now - self._unread_since > self._limits.stall_timeout

    def _may_idle(self) -> float:
        return self._limits.keep_alive if self._answering else self._limits.header_timeout

    def shutdown(self) -> None:
        """The server stops: finish an answer under way, and wait for nothing else."""
        if self.ending or (self._phase is Phase.HEAD and not self._is_answering()):
            self.abort()
        else:
            super().shutdown()

    def abort(self) -> None:
        """Close now, whatever is under way; also to make room for another connection."""
        if self._is_answering():
            self.cycle.disconnected = True
        self._raw.abort()

    def end(self) -> None:
        """Close once the answer is sent; if the client may still be sending, once it has closed."""
        if self.ending or self._raw.is_closing():
            return
        self._output.flush()
        self.ending, self._ended_at = True, self.loop.time()
        if self._phase is Phase.IDLE or not self._raw.can_write_eof():
            self._raw.close()
            return
        self._dropped = 0
        try:
            self._raw.write_eof()
        except OSError:  # the client closed first
            self._raw.abort()
            return
        self.flow.resume_reading()
        self._connections.idle(self)

    def _refuse(self, reason: Refused, kind: ProblemType) -> None:
        """Answer the request that the client is sending, and close. An answer under way is finished first."""
        self._connections.refusals.note(reason)
        cycle = self.cycle
        if not self._is_answering():
            self._write(kind, reason.value)
            self.end()
        elif self._phase is Phase.HEAD:
            cycle.keep_alive, self._reads_no_more = False, True
        elif cycle.response_started or self.pipeline:
            self.abort()
        else:
            self._write(kind, reason.value)
            self.end()
            self._cancel_handler(cycle)

    def _cancel_handler(self, cycle: RequestResponseCycle) -> None:
        """Stop the handler: nobody waits for its answer any more."""
        cycle.disconnected = True
        cycle.message_event.set()
        if self._answering is not None:
            self._answering[1].cancel()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > LINGER_BYTES:
            self.abort()

    def _begin_head(self) -> None:
        self._phase, self._since, self._head = Phase.HEAD, self.loop.time(), 0

    def _head_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _is_answering(self) -> bool:
        return self._answering is not None and not self.cycle.response_complete

    def _write(self, kind: ProblemType, detail: str, headers: bytes = b"") -> None:
        if self._raw.is_closing():
            return
        self._output.flush()
        body = json.dumps(kind.body(detail)).encode()
        self._raw.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n%s\r\n%s" % (kind.status, kind.title.encode(), len(body), headers, body)
        )
