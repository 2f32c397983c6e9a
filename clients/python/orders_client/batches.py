"""Many orders in one call: a line for each, and a line of answer for each, in order. A lost connection loses none."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, NotRequired, TypedDict

import aiohttp

from orders_client.connection import Connection, Later, Pauses, refusal, succeeded, unanswered
from orders_client.errors import NoAnswer
from orders_client.models import AcceptedView, OrderOfItems, OrderOfOne, Problem

NDJSON = "application/x-ndjson"
AHEAD = 64
"""Orders that are read from the caller before they can be sent."""
SILENCE = 60.0
"""Seconds without a byte of the answer, while some is due, after which the connection is taken for lost."""

Order = OrderOfItems | OrderOfOne


class BatchAnswer(TypedDict):
    """What became of one order of a batch. ``line`` is its number, from 1.

    ``status`` is that which a call for this order alone is answered; ``order`` stands there if it is 202, else
    ``problem``, and ``retryAfter`` (seconds) if the same order may be sent again.
    """

    line: int
    status: int
    order: NotRequired[AcceptedView]
    replayed: NotRequired[bool]
    problem: NotRequired[Problem]
    retryAfter: NotRequired[int]


class Batch:
    """One batch, over as many connections as it takes. Each line has a key: sent again, it is no second order."""

    def __init__(self, orders: Iterable[Order] | AsyncIterable[Order]) -> None:
        self._orders = orders
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        self._unanswered: deque[bytes] = deque()
        self._answered = 0
        self._all_sent = False
        self._failure: Exception | None = None

    async def answers(self, connection: Connection, path: str) -> AsyncIterator[BatchAnswer]:
        """An answer for each order, in order. Raises NoAnswer, ProblemAnswer, and what reading the orders raised."""
        reading = asyncio.create_task(self._read())
        pauses = Pauses(connection.patience)
        try:
            while not (self._all_sent and not self._unanswered):
                later = Later(NoAnswer(f"POST {path}: the answer ended early"))
                try:
                    async with connection.opened(
                        "POST", path, headers={"Content-Type": NDJSON}, data=self._body(), silence=SILENCE
                    ) as response:
                        if not succeeded(response):
                            later = await refusal(response)
                        else:
                            async for line in response.content:
                                yield self._answer(line)
                                pauses.reset()
                            if self._all_sent and not self._unanswered:
                                break
                except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
                    later = unanswered("POST", path, error)
                await pauses.wait(later)
            if self._failure:
                raise self._failure
        finally:
            reading.cancel()

    def _answer(self, line: bytes) -> BatchAnswer:
        answer: BatchAnswer = json.loads(line)
        self._unanswered.popleft()
        self._answered += 1
        return {**answer, "line": self._answered}

    async def _read(self) -> None:
        # In a task of its own: when a connection is lost, what asks the caller for orders must not be cancelled.
        try:
            if isinstance(self._orders, AsyncIterable):
                async for order in self._orders:
                    await self._queue.put(_line(order))
            else:
                for order in self._orders:
                    await self._queue.put(_line(order))
        except Exception as error:
            self._failure = error
        await self._queue.put(None)

    async def _body(self) -> AsyncIterator[bytes]:
        number = self._answered
        """The lines that were answered, or sent by this body."""
        while True:
            while (index := number - self._answered) < len(self._unanswered):
                number += 1
                yield self._unanswered[index]
            if self._all_sent:
                return
            line = await self._queue.get()
            if line is None:
                self._all_sent = True
            else:
                self._unanswered.append(line)


def _line(order: Order) -> bytes:
    keyed: dict[str, Any] = {"idempotencyKey": str(uuid.uuid4()), **order}
    return json.dumps(keyed, separators=(",", ":")).encode() + b"\n"
