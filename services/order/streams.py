"""Events of orders as they happen, as Server-Sent Events: those of one order, and those of all orders of a user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import FastAPI, Query, Request, Response
from pydantic import AfterValidator

from eventbus import Bus, Unavailable
from eventbus.http import ONE_LINE, EventStream, Problem, caller, one_line, stream_event, stream_position
from schemas import OrderCreated
from services.order import openapi
from services.order.parameters import OrderId
from services.order.positions import POSITION, VERSION, parse_positions, parse_version, positions_text
from services.order.problems import ORDER_NOT_FOUND, UNKNOWN_POSITION
from services.order.rules import MAX_TEXT
from services.order.timeline import Timeline
from services.order.user_feed import Follower, UserFeed
from services.order.views import event_view

LOG = OrderCreated.topic
T = TypeVar("T")
LAST_EVENT_ID = "Last-Event-ID"

UserId = Annotated[
    str,
    Query(
        alias="userId",
        description="The user.",
        examples=["u1"],
        min_length=1,
        max_length=MAX_TEXT,
        json_schema_extra={"pattern": ONE_LINE},
    ),
    AfterValidator(one_line),
]
_AFTER = "As the header `Last-Event-ID`, which goes first: for the first request of a browser."
AfterVersion = Annotated[
    str | None, Query(alias="lastEventId", description=_AFTER, json_schema_extra={"pattern": VERSION})
]
AfterPosition = Annotated[
    str | None, Query(alias="lastEventId", description=_AFTER, json_schema_extra={"pattern": POSITION})
]
Seconds = Annotated[
    float | None,
    Query(
        ge=0,
        allow_inf_nan=False,
        description="How long the stream goes on at most. With 0 it sends what there is and ends.",
    ),
]


class OrderStreams:
    """The routes. ``find`` raises what answers a request for an order that there is not."""

    def __init__(self, bus: Bus, find: Callable[[str, Request], Awaitable[Any]]) -> None:
        self._bus, self._find = bus, find
        self._feed = UserFeed(bus, LOG)

    def mount(self, app: FastAPI) -> None:
        """Add the routes to ``app``, before any at ``/orders/{orderId}``."""
        app.add_api_route("/orders/stream", self.of_user, methods=["GET"], **openapi.USER_STREAM)
        app.add_api_route("/orders/{orderId}/stream", self.of_order, methods=["GET"], **openapi.ORDER_STREAM)

    async def of_order(
        self, order_id: OrderId, request: Request, after: AfterVersion = None, seconds: Seconds = None
    ) -> Response:
        """The events of an order, from the first one or from the one after `Last-Event-ID`, and further ones live."""
        version = _read_position(request, after, parse_version) or 0
        self._check(order_id)
        await self._find(order_id, request)
        return EventStream(lambda: self._order_source(order_id, version), seconds)

    async def of_user(
        self, request: Request, user_id: UserId, after: AfterPosition = None, seconds: Seconds = None
    ) -> Response:
        """The events of all orders of a user, from now on or from where `Last-Event-ID` stood, live.

        Events of one order come in their order; there is none between orders.
        """
        if not caller(request).acts_for(user_id):
            raise Problem(ORDER_NOT_FOUND, f"There are no orders of {user_id[:100]!r}.")
        self._check()
        here = self._bus.folded_up_to(LOG)
        known = _read_position(request, after, lambda text: parse_positions(text, len(here)))
        return EventStream(lambda: self._user_source(user_id, known or here), seconds)

    def _check(self, order_id: str | None = None) -> None:
        if reason := self._bus.why_unavailable(LOG, order_id):
            raise Unavailable(reason)

    @contextmanager
    def _order_source(self, order_id: str, version: int) -> Iterator[OrderEvents]:
        events = OrderEvents(self._bus, order_id, version)
        with self._bus.watch(LOG, order_id, events.told):
            yield events

    @contextmanager
    def _user_source(self, user_id: str, offsets: list[int]) -> Iterator[UserEvents]:
        with self._feed.follow(user_id) as follower:
            yield UserEvents(self._bus, user_id, offsets, follower)


class OrderEvents:
    """The events of one order; a position is a version, the number of its last event that was sent."""

    def __init__(self, bus: Bus, order_id: str, version: int) -> None:
        self._bus, self._order_id, self._version = bus, order_id, version
        self._changed = asyncio.Event()

    def told(self) -> None:
        """The order has new events."""
        self._changed.set()

    def begin(self) -> bytes:
        return stream_position(str(self._version))

    def take(self) -> bytes | None:
        self._changed.clear()
        for row in self._bus.query(Timeline.select, (self._order_id, self._version, 1)):
            self._version = row["version"]
            return stream_event(str(self._version), row["type"], msgspec.json.encode(event_view(row)))
        return None

    async def change(self) -> None:
        await self._changed.wait()

    def why_over(self) -> str:
        return self._bus.why_unavailable(LOG, self._order_id)


class UserEvents:
    """The events of all orders of a user; a position is that of :mod:`~services.order.positions`."""

    def __init__(self, bus: Bus, user_id: str, offsets: list[int], follower: Follower) -> None:
        self._bus, self._user_id, self._offsets, self._follower = bus, user_id, list(offsets), follower
        follower.partitions.update(range(len(offsets)))

    def begin(self) -> bytes:
        return stream_position(positions_text(self._offsets))

    def take(self) -> bytes | None:
        self._follower.changed.clear()
        partitions = self._follower.partitions
        while partitions:
            partition = min(partitions)
            for row in self._bus.query(
                Timeline.of_user, (self._user_id, partition, self._offsets[partition], 1)
            ):
                self._offsets[partition] = row["position"] + 1
                identity = positions_text(self._offsets)
                return stream_event(identity, row["type"], msgspec.json.encode(event_view(row)))
            partitions.discard(partition)
        return None

    async def change(self) -> None:
        await self._follower.changed.wait()

    def why_over(self) -> str:
        return self._bus.why_unavailable(LOG)


def _read_position(request: Request, after: str | None, parse: Callable[[str], T]) -> T | None:
    """Where the client wishes to go on, None if it names nothing. Raises Problem 400 for what is no position."""
    text = request.headers.get(LAST_EVENT_ID, after)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        detail = f"{LAST_EVENT_ID}: {text[:100]!r} is no position of this stream"
        wrong = {"field": LAST_EVENT_ID, "message": "is no position of this stream"}
        raise Problem(UNKNOWN_POSITION, detail, errors=[wrong]) from None
