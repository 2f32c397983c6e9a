"""One hostile request on a connection of its own, and what came back."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

ENOUGH = 1_000_000
"""Bytes of answers that are read."""
LINGER = 0.2
"""Seconds for which a connection is read after an answer, to see whether a second one comes."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """What is sent: ``pieces``, with a pause (seconds) after each; ``ends``: whether the client closes its side then.

    ``most``: answers that may come at most. More would mean that a part of one request was taken for another.
    """

    kind: str
    pieces: tuple[bytes, ...]
    pause: float = 0.0
    ends: bool = True
    most: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The statuses of the answers, whether each says when to come back, and how long it took (seconds)."""

    statuses: tuple[int, ...]
    retry_after: bool
    closed: bool
    seconds: float
    answer: bytes


async def exchange(host: str, port: int, hostile: Hostile, patience: float) -> Outcome:
    """Send it, and read until the service closes, an answer has come, or the patience (seconds) is over."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, port)
    sending = asyncio.create_task(_send(writer, hostile))
    answer, closed = bytearray(), False
    try:
        async with asyncio.timeout(patience) as deadline:
            while len(answer) < ENOUGH:
                piece = await reader.read(65_536)
                if not piece:
                    closed = True
                    break
                answer += piece
                if statuses(answer) and sending.done():
                    loop = asyncio.get_running_loop()
                    deadline.reschedule(min(deadline.when() or 0.0, loop.time() + LINGER))
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    finally:
        sending.cancel()
        writer.transport.abort()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return Outcome(
        statuses(answer), b"\r\nretry-after:" in head, closed, time.monotonic() - began, bytes(answer[:2_000])
    )


async def _send(writer: asyncio.StreamWriter, hostile: Hostile) -> None:
    try:
        for piece in hostile.pieces:
            writer.write(piece)
            await writer.drain()
            if hostile.pause:
                await asyncio.sleep(hostile.pause)
        if hostile.ends:
            writer.write_eof()
    except (ConnectionError, OSError):
        pass  # the service has closed, and its answer says why


def statuses(answer: bytes | bytearray) -> tuple[int, ...]:
    """The statuses of the final answers in what came, in order. No body of an answer looks like a status line."""
    found = re.findall(rb"(?:^|[\r\n}>])HTTP/1\.[01] ([0-9]{3}) ", bytes(answer))
    return tuple(int(status) for status in found if status[:1] != b"1")
