"""The HTTP interface of orders: create, cancel, complete and show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from eventbus import Bus, Decider, Entry, HoldStatus, Message, Position, RequestId, Unavailable
from eventbus.http import (
    JsonResponse,
    Problem,
    SlicedWork,
    Slices,
    add_direct_route,
    caller,
    idempotency_key,
    invalid,
    key_reused,
    matches,
    preferred_wait,
    read_body,
    require_fresh,
    trace,
)
from schemas import (
    CancelOrder,
    CancelRefused,
    CommandRepeated,
    CompleteOrder,
    CompleteRefused,
    CreateOrder,
)
from services.order import keyed_changes, openapi
from services.order.access import check_terms
from services.order.admission import Admission, AdmissionMiddleware
from services.order.batch import Batch
from services.order.bodies import CancelBody, CompleteBody, OrderBody, parse_optional, parse_order
from services.order.create_order import create_order
from services.order.ids import keyed_order_id, random_order_id
from services.order.keyed_changes import refused
from services.order.list_api import OrderLists
from services.order.parameters import OrderId
from services.order.past import PAST, Past
from services.order.prices import PriceList
from services.order.problems import ORDER_NOT_FOUND
from services.order.rules import cancel_obstacle, complete_obstacle
from services.order.settings import OrderSettings
from services.order.state import Order, Status
from services.order.streams import OrderStreams
from services.order.timeline import Timeline
from services.order.views import AcceptedView, OrderView, accepted, accepted_before, order_view, timeline_view
from services.order.why_api import OrderWhy

Wait = Annotated[
    float, Query(ge=0, allow_inf_nan=False, description="Seconds to wait at most for the order to settle.")
]
AsOf = Annotated[
    str | None,
    Query(
        alias="asOf",
        description="The order as it was: after the event of this version, or at this instant (RFC 3339), by the "
        "`time` of its events. `held` is left out.",
        pattern=PAST,
    ),
]
Limit = Annotated[int | None, Query(ge=1, le=1_000, description="Events on the page.")]
Cursor = Annotated[
    str, Query(pattern="^[0-9]{1,15}$", description="`next` of the page before; without it the first page.")
]


@dataclass(frozen=True)
class OrderApi:
    """The routes. They read this replica's state and send commands to Kafka."""

    bus: Bus
    decider: Decider[Order]
    settings: OrderSettings
    prices: PriceList
    admission: Admission
    past: Past
    turns: Slices = field(default_factory=Slices)

    def mount(self, app: FastAPI) -> None:
        """Add the routes to ``app``."""
        app.add_middleware(AdmissionMiddleware, admission=self.admission)
        add_direct_route(
            app,
            "/orders",
            self.create,
            "POST",
            **openapi.create(self.settings.limits, self.settings.default_currency),
        )
        Batch(self, self.bus, self.admission, self.turns, self.settings).mount(app)
        OrderStreams(self.bus, self._find).mount(app)
        app.add_api_route("/orders/{orderId}", self.show, methods=["GET"], **openapi.SHOW)
        app.add_api_route("/orders/{orderId}/events", self.events, methods=["GET"], **openapi.EVENTS)
        OrderWhy(self.bus, self._find).mount(app)
        app.add_api_route("/orders/{orderId}/cancel", self.cancel, methods=["POST"], **openapi.CANCEL)
        app.add_api_route("/orders/{orderId}/complete", self.complete, methods=["POST"], **openapi.COMPLETE)

    async def create(self, request: Request) -> Response:
        """Create an order. The answer comes once it is durable; with an `Idempotency-Key`, once it is decided."""
        started = monotonic()
        require_fresh(self.bus)
        key = idempotency_key(request.headers)
        raw = await read_body(request)
        command = await self.turns.take(self._parsed(raw, key, request), len(raw))
        order_id = command.order_id
        answer: AcceptedView | OrderView
        answer, replayed = await self.place(command, key, request, started)
        headers = {"Location": f"/orders/{order_id}"}
        if replayed:
            headers["Idempotent-Replay"] = "true"
        if (wait := preferred_wait(request.headers)) is not None:
            seconds = min(float(wait), self.settings.max_wait)
            headers["Preference-Applied"] = f"wait={seconds:g}"
            if entry := await self._settled(order_id, seconds):
                headers["ETag"] = _etag(entry)
                answer = order_view(entry)
        return JsonResponse(answer, 202, headers)

    def _parsed(self, raw: bytes, key: str | None, request: Request) -> SlicedWork[CreateOrder]:
        body = yield from parse_order(raw, self.settings.limits)
        return (yield from self.command(body, key, request))

    def command(self, body: OrderBody, key: str | None, request: Request) -> SlicedWork[CreateOrder]:
        """The command for an order. Raises Problem."""
        who, limits = caller(request), self.settings.limits
        check_terms(body, who)
        order_id = self.bus.new_key(random_order_id) if key is None else keyed_order_id(who.id, key)
        return (yield from create_order(order_id, body, self.prices, limits, self.settings.default_currency))

    def exists(self, order_id: str) -> bool:
        """Whether this replica knows of the order. Raises Unavailable."""
        return self._read(order_id) is not None

    async def place(
        self, command: CreateOrder, key: str | None, request: Request, started: float
    ) -> tuple[AcceptedView, bool]:
        """What is known of the order once it is durable, with a key once it is decided; and whether it was before.

        Raises Problem, Unavailable.
        """
        require_fresh(self.bus)
        if key is None:
            self.admission.accepted(len(command.items))
            await self.bus.write(command, by=caller(request), **trace(request.headers))
        elif await self._was_answered_before(command, request, started):
            entry = self._read(command.order_id)
            return accepted_before(command.order_id, entry.state) if entry else accepted(command), True
        return accepted(command), False

    async def show(self, order_id: OrderId, request: Request, wait: Wait = 0, as_of: AsOf = None) -> Response:
        """The order as it is now; with `wait`, as soon as it is settled; with `asOf`, as it was."""
        entry = await self._find(order_id, request)
        if as_of is not None:
            return self._shown(await self.past.order(order_id, as_of, wait), request)
        if wait and not entry.state.settled:
            entry = await self._settled(order_id, min(wait, self.settings.max_wait)) or entry
        return self._shown(entry, request, self.bus.held(order_id))

    def _shown(self, entry: Entry[Order], request: Request, held: HoldStatus | None = None) -> Response:
        headers = {"ETag": _etag(entry)}
        if matches(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return JsonResponse(order_view(entry, held), headers=headers)

    async def events(
        self, order_id: OrderId, request: Request, limit: Limit = None, cursor: Cursor = "0"
    ) -> Response:
        """The order's timeline, oldest event first; `next` is the `cursor` of the page that follows, if one does."""
        count = self.settings.events_page if limit is None else limit
        await self._find(order_id, request)
        rows = self.bus.query(Timeline.select, (order_id, int(cursor), count + 1))
        return JsonResponse(timeline_view(order_id, rows, count))

    async def cancel(self, order_id: OrderId, request: Request) -> Response:
        """Cancel an order that is not completed and has not failed. What was done for it is undone."""
        started = monotonic()
        body = parse_optional(CancelBody, await read_body(request))
        await self._find(order_id, request)
        return await self._change(CancelOrder(order_id=order_id, reason=body.reason), request, started)

    async def complete(self, order_id: OrderId, request: Request) -> Response:
        """Complete a confirmed order: its goods were handed over."""
        started = monotonic()
        parse_optional(CompleteBody, await read_body(request))
        await self._find(order_id, request)
        return await self._change(CompleteOrder(order_id=order_id), request, started)

    async def _change(
        self, command: CancelOrder | CompleteOrder, request: Request, started: float
    ) -> Response:
        cancels = isinstance(command, CancelOrder)
        key = idempotency_key(request.headers)
        asked = None if key is None else keyed_changes.request_of(caller(request).id, key, command)
        if asked and (first := keyed_changes.first_answer(self.bus, self.decider, command.order_id, asked)):
            return keyed_changes.response(first, None)
        sent, events = await self._decided(command, request, started, asked)
        if asked and (first := keyed_changes.first_answer(self.bus, self.decider, command.order_id, asked)):
            return keyed_changes.response(first, sent)
        for event in events:
            if isinstance(event, CancelRefused | CompleteRefused):
                if event.status == Status.NEW.value:
                    raise _unknown(command.order_id)
                raise refused(cancels, event.status, event.reason)
        entry = await self._find(command.order_id, request)
        status = entry.state.status
        if not events and status is not (Status.CANCELLED if cancels else Status.COMPLETED):
            # It changed nothing and was not recorded. The reason follows from the state of the order.
            reason = cancel_obstacle(status) if cancels else complete_obstacle(status)
            reason = reason or f"it was not possible a moment ago; now the order is {status.value}: ask again"
            raise refused(cancels, status.value, reason)
        return JsonResponse(order_view(entry), 202, {"ETag": _etag(entry)})

    async def _was_answered_before(self, command: CreateOrder, request: Request, started: float) -> bool:
        """Send the keyed command, unless its order exists. True if the same request was answered before.

        Raises Problem 422 if the key belongs to another request, or if the order was refused.
        """
        entry = self._read(command.order_id)
        if entry is not None:
            repeated, identical = True, entry.state.fingerprint == command.fingerprint
        elif refusal := self.admission.refusal():
            raise refusal.problem()
        else:
            self.admission.accepted(len(command.items))
            _, events = await self._decided(command, request, started)
            repeats = [event for event in events if isinstance(event, CommandRepeated)]
            repeated, identical = bool(repeats), all(event.identical for event in repeats)
            entry = self._read(command.order_id)
            if not events and entry is not None:  # a repeat that is recorded no more
                repeated, identical = True, entry.state.fingerprint == command.fingerprint
        if not identical:
            raise key_reused("was used before with another request body")
        if entry is not None and entry.state.failure is not None and entry.state.refused:
            failure = entry.state.failure
            raise invalid([(failure.field or "body", failure.reason)])
        return repeated

    async def _decided(
        self, command: Message, request: Request, started: float, asked: RequestId | None = None
    ) -> tuple[Position, list[Message]]:
        """Where the command stands, and the events it led to. Raises Unavailable if it is not decided in time."""
        who = caller(request)
        position = await self.bus.send(command, by=who, request=asked, **trace(request.headers))
        left = self.settings.answer_timeout - (monotonic() - started)
        try:
            return position, await self.bus.answer(position, max(left, 0.1))
        except TimeoutError as error:
            raise Unavailable(
                f"{command.name} for order {command.key} is durable but not decided yet; repeating it is safe"
            ) from error

    async def _find(self, order_id: str, request: Request) -> Entry[Order]:
        """The order. Raises Problem 404 only once every command sent before now is decided here.

        A caller that acts for another customer is told the same as of an order that does not exist.
        """
        require_fresh(self.bus)
        entry = self._read(order_id)
        who = caller(request)
        if entry is None or not who.acts_for(entry.state.user_id):
            await self.bus.caught_up(CreateOrder.topic, order_id)
            entry = self._read(order_id)
        if entry is None or not who.acts_for(entry.state.user_id):
            raise _unknown(order_id)
        return entry

    def _read(self, order_id: str) -> Entry[Order] | None:
        """The order, or None. A refused cancellation of an unknown id has a state, but is no order."""
        entry = self.bus.read(self.decider, order_id)
        return None if entry is None or entry.state.status is Status.NEW else entry

    async def _settled(self, order_id: str, seconds: float) -> Entry[Order] | None:
        entry = await self.bus.wait(
            self.decider, order_id, lambda e: e is not None and e.state.settled, timeout=seconds
        )
        return None if entry is None or entry.state.status is Status.NEW else entry


def order_routes(
    decider: Decider[Order], settings: OrderSettings, prices: PriceList
) -> Callable[[FastAPI, Bus], None]:
    """The routes of the order service, for ``Service.routes``."""

    def add(app: FastAPI, bus: Bus) -> None:
        OrderApi(bus, decider, settings, prices, Admission(bus, settings), Past(bus, decider)).mount(app)
        OrderLists(bus, decider).mount(app)

    return add


def _etag(entry: Entry[Any]) -> str:
    return f'"{entry.version}"'


def _unknown(order_id: str) -> Problem:
    return Problem(ORDER_NOT_FOUND, f"There is no order {order_id[:100]!r}.")
