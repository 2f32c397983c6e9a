"""``POST /orders/batch``: many orders in one call, one JSON text a line, and one line of answer for each, in order.

Each line is an order for itself: what is wrong with one spoils no other. Lines are read while earlier ones become
durable, ``WINDOW`` at a time. While orders would be refused for load, the batch waits instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, Protocol

from fastapi import FastAPI, Request, Response
from msgspec.json import Encoder

from eventbus import Bus, Unavailable
from eventbus.http import (
    CONTENT_TOO_LARGE,
    IDEMPOTENCY_KEY,
    INTERNAL_ERROR,
    UNAVAILABLE,
    Line,
    LinesResponse,
    Problem,
    SlicedWork,
    Slices,
    add_direct_route,
    invalid,
    is_idempotency_key,
    lines_of,
    parse_json,
    require_ndjson,
)
from schemas import CreateOrder
from services.order.admission import Admission, Refusal
from services.order.batch_openapi import describe
from services.order.bodies import OrderBody, checked_order, values_of
from services.order.settings import OrderSettings
from services.order.views import AcceptedView

log = logging.getLogger("order.batch")

WINDOW = 256
"""Orders of a batch that are on their way to Kafka, or wait to be decided, at a time."""
LOOK_EVERY = 0.05
"""Seconds between two looks at the load, which is a sample and tells nobody when it changes."""
ALWAYS_SLICED = 1 << 30
KEY = "idempotencyKey"
_encode = Encoder().encode


class Orders(Protocol):
    """What the batch needs of the interface of single orders."""

    def command(self, body: OrderBody, key: str | None, request: Request) -> SlicedWork[CreateOrder]:
        """The command for an order. Raises Problem."""
        ...

    def exists(self, order_id: str) -> bool:
        """Whether there is such an order already. Raises Unavailable."""
        ...

    async def place(
        self, command: CreateOrder, key: str | None, request: Request, started: float
    ) -> tuple[AcceptedView, bool]:
        """What is known of the order once it is durable; whether it was before. Raises Problem, Unavailable."""
        ...


class Read(NamedTuple):
    """A line that was understood, or what is wrong with it."""

    number: int
    command: CreateOrder | None = None
    key: str | None = None
    problem: Exception | None = None


@dataclass(frozen=True)
class Batch:
    """The route. A line may have as many bytes as the body of a single order."""

    orders: Orders
    bus: Bus
    admission: Admission
    turns: Slices
    settings: OrderSettings

    def mount(self, app: FastAPI) -> None:
        """Add the route to ``app``."""
        add_direct_route(
            app, "/orders/batch", self.create, "POST", streams=True, **describe(self.settings.limits)
        )

    async def create(self, request: Request) -> Response:
        """Create many orders: NDJSON in and out, a line of answer for each line, in order.

        A line is a body as of `POST /orders`, and may have an `idempotencyKey` beside. Read the answers while you
        send: who does not read them is not read from.
        """
        require_ndjson(request.headers)
        if IDEMPOTENCY_KEY in request.headers:
            raise invalid([(IDEMPOTENCY_KEY, f"is given by each line of a batch, in its field {KEY}")])
        return LinesResponse(self._answers(request), WINDOW)

    async def _answers(self, request: Request) -> AsyncGenerator[asyncio.Future[bytes], None]:
        """A future for the answer to each line. The commands are written in the order of their lines."""
        went_on = monotonic()
        async for lines in lines_of(request, self.bus.settings.max_body):
            for read in await self.turns.take(self._read(lines, request), ALWAYS_SLICED):
                if read.command is not None and not (read.key and self._exists(read.command.order_id)):
                    if refusal := await self._obstacle(went_on):
                        read = Read(read.number, problem=refusal.problem())
                    else:
                        went_on = monotonic()
                yield asyncio.ensure_future(self._answer(read, request))
                await asyncio.sleep(0)  # it is on its way, and counts, before the next one is looked at

    def _read(self, lines: Sequence[Line], request: Request) -> SlicedWork[list[Read]]:
        reads = []
        for number, text in lines:
            try:
                reads.append((yield from self._command(number, text, request)))
            except Exception as error:
                reads.append(Read(number, problem=error))
            yield
        return reads

    def _command(self, number: int, text: bytes | None, request: Request) -> SlicedWork[Read]:
        if text is None:
            raise Problem(CONTENT_TOO_LARGE, f"the line is larger than {self.bus.settings.max_body} bytes")
        data = parse_json(text, values_of(self.settings.limits))
        yield
        key = data.pop(KEY, None) if isinstance(data, dict) else None
        if key is not None and not (isinstance(key, str) and is_idempotency_key(key)):
            raise invalid([(KEY, "must be 1 to 255 printable ASCII characters")])
        body = yield from checked_order(data, self.settings.limits)
        return Read(number, (yield from self.orders.command(body, key, request)), key)

    def _exists(self, order_id: str) -> bool:
        try:
            return self.orders.exists(order_id)
        except Unavailable:
            return True  # its answer will say so

    async def _obstacle(self, went_on: float) -> Refusal | None:
        """Wait while orders would be refused, until ``ORDER_BATCH_PATIENCE`` is over since the last one went on.

        Then each is refused at once, until there is room again.
        """
        try:
            while (obstacle := self.admission.obstacle()) is not None:
                if monotonic() - went_on > self.settings.batch_patience:
                    return self.admission.refusal() or obstacle
                await asyncio.sleep(LOOK_EVERY)
        except Unavailable:
            pass  # the answer to the line says so
        return None

    async def _answer(self, read: Read, request: Request) -> bytes:
        """The line of answer. It is one whatever happens."""
        answer: dict[str, Any] = {"line": read.number}
        try:
            if read.command is None:
                raise read.problem or AssertionError(
                    f"line {read.number} has neither a command nor a problem"
                )
            order, replayed = await self.orders.place(read.command, read.key, request, monotonic())
        except Exception as error:
            problem = self._problem(error)
            answer |= {"status": problem.status, "problem": problem.body}
            if "Retry-After" in problem.headers:
                answer["retryAfter"] = int(problem.headers["Retry-After"])
        else:
            answer |= {"status": 202, "order": order}
            if replayed:
                answer["replayed"] = True
        return _encode(answer) + b"\n"

    def _problem(self, error: Exception) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, Unavailable):
            return Problem(UNAVAILABLE, str(error), headers={"Retry-After": "1"})
        log.error("a line of a batch could not be answered", exc_info=error)
        return Problem(INTERNAL_ERROR, "the error is in this service's log")
