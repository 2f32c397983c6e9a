"""Connections to a mail server that are used again, and what one customer's address may hold up of them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiosmtplib import SMTP, SMTPException

from eventbus import Retryable
from schemas.address import masked

AT_ONCE = 2
"""Mails to one address under way at most."""
REST = 30.0
"""Seconds for which an address is not tried after the server did not answer about it."""
REMEMBERED = 10_000
MAILS = 100
"""Mails over one connection: servers end those that are used for long."""
IDLE = 2.0
"""Seconds without a mail after which a connection is asked whether it is still there."""


class Unanswered(Retryable):
    """The server did not answer about a mail in time. It may have taken it."""


@dataclass
class Connection:
    """One connection to the server, made when it is first needed."""

    client: SMTP
    mails: int = 0
    used_at: float = 0.0


class Connections:
    """At most ``most`` connections at a time. One that failed is closed, any other is used again."""

    def __init__(self, make: Callable[[], SMTP], most: int) -> None:
        self._make = make
        self._room = asyncio.Semaphore(most)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Waits until a connection may be used; inside, :meth:`ready` gives one."""
        async with self._room:
            yield

    async def ready(self) -> Connection:
        """One that is connected. Raises SMTPException or OSError."""
        while self._idle:
            connection = self._idle.pop()
            if await _lives(connection):
                return connection
            connection.client.close()
        connection = Connection(self._make())
        try:
            await connection.client.connect()
        except BaseException:
            connection.client.close()
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """It has ended a mail and may begin another."""
        connection.mails += 1
        connection.used_at = time.monotonic()
        if connection.mails >= MAILS or not connection.client.is_connected:
            connection.client.close()
        else:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            client = self._idle.pop().client
            with suppress(SMTPException, OSError):
                await client.quit(timeout=1)
            client.close()


async def _lives(connection: Connection) -> bool:
    """Whether the server still answers. Servers end connections that are idle, and say so or not."""
    if not connection.client.is_connected:
        return False
    if time.monotonic() - connection.used_at < IDLE:
        return True
    try:
        await connection.client.rset()
    except (SMTPException, OSError):
        return False
    return True


@dataclass
class _Address:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    waiting: int = 0
    rests_until: float = 0.0


class Addresses:
    """Keeps one address from taking all connections: few mails to it at a time, and none for a while after the server
    hung on one. So the mails to others go on."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Address] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Waits for others to the same address. Raises Retryable while it rests; Unanswered inside begins a rest."""
        known = self._known.setdefault(address, _Address())
        self._known.move_to_end(address)
        known.waiting += 1
        try:
            async with known.room:
                if (left := known.rests_until - time.monotonic()) > 0:
                    raise Retryable(
                        f"the server did not answer about {masked(address)} lately: not tried for {left:.0f} s more"
                    )
                try:
                    yield
                except Unanswered:
                    known.rests_until = time.monotonic() + REST
                    raise
        finally:
            known.waiting -= 1
            self._forget()

    def _forget(self) -> None:
        """Keep those that are in use or rest, and of these the latest ``REMEMBERED``."""
        while self._known:
            address, oldest = next(iter(self._known.items()))
            over = oldest.rests_until <= time.monotonic() or len(self._known) > REMEMBERED
            if oldest.waiting or not over:
                return
            del self._known[address]
