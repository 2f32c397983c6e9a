"""How many connections there may be, which of them are idle, and what was refused: counted, and logged at times."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from eventbus.metrics import HTTP_CONNECTIONS, HTTP_REFUSED
from eventbus.model.limits import HttpLimits

log = logging.getLogger("eventbus.http")

QUIET = 60.0
"""Seconds between two lines of the log about refusals of one kind."""


class Refused(StrEnum):
    """Why a connection was refused or closed; the ``reason`` of ``eventbus_http_refused_total``."""

    TOO_MANY = "too many connections"
    CROWDED_OUT = "idle while others wait"
    LONG_HEADERS = "headers too large"
    SLOW_HEADERS = "headers too slow"
    SLOW_BODY = "body too slow"
    PADDED_BODY = "body with too much around it"
    STALLED = "answer not read"
    PIPELINED = "too many requests at once"
    MALFORMED = "no HTTP"
    BODY = "body too large"
    HOST = "unknown host"
    ORIGIN = "foreign origin"


class Refusals:
    """Counts what is refused. The log has the first of a kind at once, then a line a minute at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[Refused, float] = {}
        self._unsaid: dict[Refused, int] = {}

    def note(self, reason: Refused) -> None:
        """One more was refused."""
        HTTP_REFUSED.labels(reason.value).inc()
        self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
        self.say()

    def say(self) -> None:
        """Log what is due."""
        now = self._clock()
        for reason, count in tuple(self._unsaid.items()):
            if now - self._said.get(reason, -QUIET) >= QUIET:
                self._said[reason] = now
                del self._unsaid[reason]
                log.warning("refused over HTTP: %s (%d since this was last said)", reason.value, count)


class Closable(Protocol):
    """A connection, as far as the crowd knows it."""

    def abort(self) -> None: ...

    def sweep(self, now: float) -> None: ...


class Crowd:
    """The connections of a server. Where there is no room for a newcomer, the one idle for longest makes room."""

    def __init__(self, limits: HttpLimits, refusals: Refusals) -> None:
        self.limits, self.refusals = limits, refusals
        self._open: set[Closable] = set()
        self._idle: dict[Closable, None] = {}

    def admit(self, connection: Closable) -> bool:
        """Take a connection in, idle. False if there is no room, and all others have requests under way."""
        self._open.add(connection)
        HTTP_CONNECTIONS.set(len(self._open))
        if len(self._open) > self.limits.max_connections:
            if not self._idle:
                self.refusals.note(Refused.TOO_MANY)
                return False
            self.refusals.note(Refused.CROWDED_OUT)
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
        """Let every connection look at its times."""
        for connection in tuple(self._open):
            try:
                connection.sweep(now)
            except Exception:
                # A bug that one client found must not end the server of all.
                log.exception("a connection could not be looked at, and is closed")
                self.leave(connection)
                connection.abort()
        self.refusals.say()


def raise_descriptors() -> int:
    """Allow this process as many descriptors as it may have; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return soft  # some systems name a hard limit that they do not grant
    return hard
