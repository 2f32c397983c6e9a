"""Clients that follow a stream from replica to replica, as an EventSource does: they go on where they were."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any


class Follower:
    """One client. Whenever its stream ends, it asks a replica for what follows the last event that it has."""

    def __init__(self, path: str, ports: Sequence[int]) -> None:
        self.path, self._ports = path, ports
        self.last_id: str | None = None
        self.got: list[tuple[str, int]] = []
        """Of each event, in the order in which they came, its order and version."""
        self.delays: list[float] = []
        """Of each event, seconds from its time to its arrival."""
        self.streams = 0
        """How often a stream began."""
        self.cut = 0
        """How often it ended without a last chunk: its replica was gone."""

    async def follow(self) -> None:
        """Follow until cancelled."""
        turn = random.randrange(len(self._ports))
        while True:
            begun = self.streams
            try:
                await self._read(self._ports[turn % len(self._ports)])
            except (OSError, asyncio.IncompleteReadError):
                self.cut += self.streams - begun
            turn += 1
            await asyncio.sleep(random.uniform(0.05, 0.3))  # as `retry:` says, but sooner

    async def _read(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_048_576)
        try:
            known = "" if self.last_id is None else f"Last-Event-ID: {self.last_id}\r\n"
            writer.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n{known}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                return
            self.streams += 1
            text = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                text += (await reader.readexactly(size + 2))[:-2]
                *blocks, text = text.split(b"\n\n")
                for block in blocks:
                    self._take(dict(line.partition(": ")[::2] for line in block.decode().splitlines()))
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    def _take(self, fields: dict[str, str]) -> None:
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            event: dict[str, Any] = json.loads(fields["data"])
            self.got.append((event["data"]["orderId"], event["version"]))
            self.delays.append(time.time() - _seconds(event["time"]))


def _seconds(text: str) -> float:
    """RFC 3339 as seconds since epoch."""
    return datetime.fromisoformat(text).timestamp()


async def until(condition: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        await asyncio.sleep(0.05)


def assert_without_gap_or_repeat(follower: Follower, wanted: Iterable[tuple[str, int]]) -> None:
    """That it got all events of its orders up to a version each, once, those of an order in their order."""
    versions: dict[str, list[int]] = {}
    for order_id, version in follower.got:
        versions.setdefault(order_id, []).append(version)
    assert versions == {order_id: list(range(1, upto + 1)) for order_id, upto in wanted}, follower.path
