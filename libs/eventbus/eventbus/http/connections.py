"""The open connections of a server, at most so many; and the count and the log of what was refused."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from eventbus.metrics import HTTP_CONNECTIONS, HTTP_REFUSED
from eventbus.model.limits import HttpLimits

log = logging.getLogger("eventbus.http")

LOG_EVERY = 60.0
"""Seconds between two lines of the log about refusals of one kind, at least."""


class Refused(StrEnum):
    """Why a connection was refused or closed; the ``reason`` of ``eventbus_http_refused_total``."""

    TOO_MANY = "too many connections"
    DISPLACED = "idle while others wait"
    LONG_HEADERS = "headers too large"
    SLOW_HEADERS = "headers too slow"
    SLOW_BODY = "body too slow"
    PADDED_BODY = "body with too much around it"
    STALLED = "answer not read"
    SLOW_READER = "stream read too slowly"
    STREAMS = "too many streams"
    PIPELINED = "too many requests at once"
    MALFORMED = "no HTTP"
    BODY = "body too large"
    HOST = "unknown host"
    ORIGIN = "foreign origin"
    NO_CREDENTIALS = "no credentials"
    CREDENTIALS = "credentials not valid"
    SCOPE = "scope missing"
    RATE = "caller too fast"


class ReadTooSlowly(asyncio.CancelledError):
    """Raised in a handler to end the connection of a client that has read too little for too long.

    It counts as a cancellation, as when the client hangs up: whatever stands between takes it for no error.
    """


class Refusals:
    """Counts refusals. The first of a kind is logged at once, then one line a minute at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[Refused, float] = {}
        self._not_logged: dict[Refused, int] = {}

    def note(self, reason: Refused) -> None:
        """One more was refused."""
        HTTP_REFUSED.labels(reason.value).inc()
        self._not_logged[reason] = self._not_logged.get(reason, 0) + 1
        self.log_due()

    def log_due(self) -> None:
        """Log the kinds whose last line is long enough ago."""
        now = self._clock()
        for reason, count in tuple(self._not_logged.items()):
            if now - self._logged_at.get(reason, -LOG_EVERY) >= LOG_EVERY:
                self._logged_at[reason] = now
                del self._not_logged[reason]
                log.warning("refused over HTTP: %s (%d since the last line about it)", reason.value, count)


class Closable(Protocol):
    """What :class:`OpenConnections` needs of a connection."""

    def abort(self) -> None: ...

    def sweep(self, now: float) -> None: ...


class OpenConnections:
    """At most ``max_connections``. A new one beyond these closes the one that is idle for longest."""

    def __init__(self, limits: HttpLimits, refusals: Refusals) -> None:
        self.limits, self.refusals = limits, refusals
        self._open: set[Closable] = set()
        self._idle: dict[Closable, None] = {}

    def admit(self, connection: Closable) -> bool:
        """Add a connection; it is idle. False if there are too many, and all others have requests under way."""
        self._open.add(connection)
        HTTP_CONNECTIONS.set(len(self._open))
        if len(self._open) > self.limits.max_connections:
            if not self._idle:
                self.refusals.note(Refused.TOO_MANY)
                return False
            self.refusals.note(Refused.DISPLACED)
            longest = next(iter(self._idle))
            self.leave(longest)
            longest.abort()
        self._idle[connection] = None
        return True

    def busy(self, connection: Closable) -> None:
        """The connection has a request."""
        self._idle.pop(connection, None)

    def idle(self, connection: Closable) -> None:
        """The connection has none any more."""
        if connection in self._open:
            self._idle[connection] = None

    def leave(self, connection: Closable) -> None:
        """The connection is closed."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        HTTP_CONNECTIONS.set(len(self._open))

    def sweep(self, now: float) -> None:
        """Have every connection end what takes too long."""
        for connection in tuple(self._open):
            try:
                connection.sweep(now)
            except Exception:
                # A bug that one client found must not end the server of all.
                log.exception("a connection is closed, as its times could not be checked")
                self.leave(connection)
                connection.abort()
        self.refusals.log_due()


def raise_descriptors() -> int:
    """Allow this process as many descriptors as it may have; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return soft  # some systems name a hard limit that they do not grant
    return hard
