"""``GET /orders/{orderId}/why``: everything that has to do with an order, as a tree of causes and effects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NotRequired

import msgspec
from fastapi import FastAPI, Request, Response
from typing_extensions import TypedDict

from eventbus import Bus, Caller, Question, Why
from eventbus.http import UNAVAILABLE, Time, caller, json_example, problem_responses
from services.order.parameters import OrderId
from services.order.problems import ORDER_NOT_FOUND
from services.order.timeline import Timeline

MOMENTS = 1_000
"""Events of the order whose times are looked at."""


class FailedView(TypedDict):
    """How a message that failed stands, as a record of a retry topic or a dead letter says it."""

    state: str
    attempts: int
    due: Time | None
    error: str | None


class RecordView(TypedDict):
    """One record. What it led to follows it, one ``depth`` deeper.

    ``cause`` is the record that led to it, as topic-partition-offset; a deadline that passed stands in ``deadline``
    instead. ``waitsFor`` names the services that have not decided it yet, ``problem`` what is wrong with what the
    record says of itself. ``kcat`` is a line for a shell that prints it. A caller that acts for a customer gets
    neither that nor the texts of errors.
    """

    depth: int
    type: str | None
    time: Time
    topic: str
    partition: int
    offset: int
    service: str | None
    key: str
    cause: str | None
    kcat: NotRequired[str]
    deadline: NotRequired[Time]
    failed: NotRequired[FailedView]
    waitsFor: NotRequired[list[str]]
    problem: NotRequired[str]


class WhyView(TypedDict):
    """All records that have to do with an order, each after its cause. If ``complete`` is false there may be more,
    and ``missing`` says why they are not here."""

    orderId: str
    complete: bool
    missing: str | None
    records: list[RecordView]


EXAMPLE = {
    "orderId": "5013e32a-78d8-583b-9096-bc5c8a2a3005",
    "complete": True,
    "missing": None,
    "records": [
        {
            "depth": 0,
            "type": "CreateOrder",
            "time": "2026-11-28T09:00:00.000Z",
            "topic": "order.commands",
            "partition": 2,
            "offset": 17,
            "service": "order",
            "key": "5013e32a-78d8-583b-9096-bc5c8a2a3005",
            "cause": None,
            "kcat": "kcat -b 127.0.0.1:9092 -C -t order.commands -p 2 -o 17 -c 1",
        }
    ],
}
WHY: dict[str, Any] = {
    "responses": {
        200: {"model": WhyView, **json_example(EXAMPLE)},
        **problem_responses(ORDER_NOT_FOUND, UNAVAILABLE),
    }
}


@dataclass(frozen=True)
class OrderWhy:
    """The route. ``find`` raises what answers a request for an order that there is not."""

    bus: Bus
    find: Callable[[str, Request], Awaitable[Any]]

    def mount(self, app: FastAPI) -> None:
        """Add the route to ``app``."""
        app.add_api_route("/orders/{orderId}/why", self.why, methods=["GET"], **WHY)

    async def why(self, order_id: OrderId, request: Request) -> Response:
        """The records of all services that have to do with the order, from its command to the last notification,
        retries and dead letters included: each with what led to it, and a line that prints it.

        They are read from Kafka for the answer, for a few seconds at most.
        """
        await self.find(order_id, request)
        rows = self.bus.query(Timeline.select, (order_id, 0, MOMENTS))
        moments = {row["time"] for row in rows}
        found = await self.bus.why(Question.around(order_id, moments, time.time_ns() // 1_000_000))
        # An order of many lines has thousands of records: the event loop does not wait for their text.
        body = await asyncio.to_thread(self._body, order_id, found, caller(request))
        return Response(body, media_type="application/json")

    def _body(self, order_id: str, found: Why, who: Caller) -> bytes:
        head = msgspec.json.encode(
            {"orderId": order_id, "complete": not found.why_not_all, "missing": found.why_not_all or None}
        )
        rows = found.rows(self.bus.settings)
        if who.user_id is not None:
            rows = map(for_a_customer, rows)
        # One by one, since the interpreter lets no other thread go on during a single call.
        return head[:-1] + b',"records":[' + b",".join(map(msgspec.json.encode, rows)) + b"]}"


def for_a_customer(row: dict[str, Any]) -> dict[str, Any]:
    """A record without what tells of the system inside: where its brokers are, and the texts of errors."""
    del row["kcat"]
    if "failed" in row:
        row["failed"]["error"] = None
    return row
