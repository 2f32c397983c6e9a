"""The HTTP side of inventory: what is in stock, and adjusting it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import AfterValidator

from eventbus import Bus, Message, Rule, Rules, Scope
from eventbus.http import (
    IDEMPOTENCY_KEY,
    MALFORMED_JSON,
    METHOD_NOT_ALLOWED,
    ONE_LINE,
    UNAVAILABLE,
    Problem,
    Responses,
    caller,
    idempotency_key,
    invalid,
    json_example,
    one_line,
    problem_responses,
    read_body,
    require_fresh,
    require_known,
    trace,
)
from schemas import AdjustStock, StockRefused, StockRepeated
from services.inventory.bodies import ADJUSTMENT_REQUEST, Adjustment, parse_adjustment
from services.inventory.problems import (
    NOT_DECIDED,
    NOT_DECIDED_IN_TIME,
    NOT_ENOUGH_STOCK,
    PRODUCT_NOT_FOUND,
)
from services.inventory.settings import InventorySettings
from services.inventory.stock_projection import product, products
from services.inventory.views import StockPage, StockView, stock_view

ADJUSTMENTS = "/adjustments"
MAX_PAGE = 1000
STOCK = {
    "productId": "demo-widget",
    "availableQty": 998,
    "reservedQty": 2,
    "updatedAt": "2026-11-28T09:00:00.000Z",
}
ADJUST: Responses = {
    202: json_example(STOCK, "The stock after the adjustment."),
    **problem_responses(
        MALFORMED_JSON, NOT_ENOUGH_STOCK, PRODUCT_NOT_FOUND, UNAVAILABLE, NOT_DECIDED_IN_TIME, NOT_DECIDED
    ),
}
PAGE: Responses = {
    200: json_example({"items": [STOCK], "nextCursor": "ZGVtby13aWRnZXQ"}),
    **problem_responses(UNAVAILABLE),
}
ONE: Responses = {
    200: json_example(STOCK),
    **problem_responses(PRODUCT_NOT_FOUND, METHOD_NOT_ALLOWED, UNAVAILABLE),
}

RULES: Rules = {
    "POST /stock/{productId:path}/adjustments": Rule(Scope.STOCK),
    "GET /stock": Rule(Scope.READ, customers=True),
    "GET /stock/{productId:path}": Rule(Scope.READ, customers=True),
}
"""What each route asks of its caller. Stock belongs to no customer: all may see it."""

# A product id is any text, slashes included: hence ":path" in the routes.
ProductId = Annotated[
    str,
    Path(
        alias="productId",
        examples=["demo-widget"],
        min_length=1,
        max_length=100,
        json_schema_extra={"pattern": ONE_LINE},
    ),
    AfterValidator(one_line),
]
Cursor = Annotated[
    str | None,
    Query(description="nextCursor of the page before", json_schema_extra={"pattern": "^[A-Za-z0-9_-]*$"}),
]
Limit = Annotated[int | None, Query(ge=1, le=MAX_PAGE)]


def stock_routes(settings: InventorySettings) -> Callable[[FastAPI, Bus], None]:
    """The routes of inventory, for ``Service.routes``."""

    def add(app: FastAPI, bus: Bus) -> None:
        @app.post(
            "/stock/{productId:path}" + ADJUSTMENTS,
            status_code=202,
            summary="Adjust a product's stock",
            openapi_extra=ADJUSTMENT_REQUEST,
            responses=ADJUST,
        )
        async def adjust(product_id: ProductId, request: Request, response: Response) -> StockView:
            adjustment = parse_adjustment(await read_body(request))
            key = idempotency_key(request.headers)
            command = to_command(product_id, adjustment, key and caller(request).scoped(key))
            event = await decided(bus, command, request, settings.answer_timeout)
            raise_if_refused(event)
            if isinstance(event, StockRepeated):
                response.headers["Idempotent-Replay"] = "true"
            return await stock_of(bus, product_id)

        @app.get(
            "/stock",
            summary="All products, in order of their ids",
            responses=PAGE,
        )
        async def list_stock(request: Request, cursor: Cursor = None, limit: Limit = None) -> StockPage:
            require_known(request, ("cursor", "limit"))
            require_fresh(bus)
            await bus.all_caught_up(AdjustStock.topic)
            return page(bus, cursor, limit or settings.page_size)

        @app.get(
            "/stock/{productId:path}",
            summary="One product",
            responses=ONE,
        )
        async def get_stock(product_id: ProductId) -> StockView:
            if product_id.endswith(ADJUSTMENTS):
                raise Problem(METHOD_NOT_ALLOWED, "adjustments are posted", headers={"Allow": "POST"})
            require_fresh(bus)
            return await stock_of(bus, product_id)

    return add


def to_command(product_id: str, adjustment: Adjustment, key: str | None) -> AdjustStock:
    """The command for an adjustment. Its id is the caller's key; without a key each request is a new one."""
    return AdjustStock(
        product_id=product_id,
        quantity=adjustment.quantity,
        reason=adjustment.reason,
        adjustment_id=key,
        fingerprint=adjustment.fingerprint(),
    )


async def decided(bus: Bus, command: AdjustStock, request: Request, seconds: float) -> Message:
    """The event that answers the command. Raises Problem (503) if there is none in time."""
    position = await bus.send(command, by=caller(request), **trace(request.headers))
    try:
        events = await bus.answer(position, seconds)
    except TimeoutError as error:
        advice = (
            f"repeat the request with the same {IDEMPOTENCY_KEY}"
            if command.adjustment_id
            else f"it may still be decided, and repeating it without an {IDEMPOTENCY_KEY} may adjust twice"
        )
        raise Problem(NOT_DECIDED_IN_TIME, f"{position}: {advice}", headers={"Retry-After": "1"}) from error
    if not events:
        raise Problem(NOT_DECIDED, f"{position} became a dead letter, or an operator set it aside")
    return events[0]


def raise_if_refused(event: Message) -> None:
    """Raises Problem: 409 if there is not enough in stock, 422 if the key was used for another adjustment."""
    match event:
        case StockRefused():
            raise Problem(
                NOT_ENOUGH_STOCK,
                event.reason,
                productId=event.product_id,
                availableQty=event.available_qty,
            )
        case StockRepeated(identical=False):
            raise invalid([(IDEMPOTENCY_KEY, "was used before for another adjustment of this product")])


async def stock_of(bus: Bus, product_id: str) -> StockView:
    """One product. Raises Problem 404 only after this replica has caught up."""
    row = product(bus, product_id)
    if row is None:
        await bus.caught_up(AdjustStock.topic, product_id)
        row = product(bus, product_id)
    if row is None:
        raise Problem(PRODUCT_NOT_FOUND, f"no stock of {product_id!r} was ever recorded")
    return stock_view(row)


def page(bus: Bus, cursor: str | None, limit: int) -> StockPage:
    """One page, and the cursor of the next. Raises Problem (422) for a cursor that no page gave."""
    rows = products(bus, from_cursor(cursor) if cursor else "", limit + 1)
    more = len(rows) > limit
    return StockPage(
        items=[stock_view(row) for row in rows[:limit]],
        next_cursor=to_cursor(rows[limit - 1]["product_id"]) if more else None,
    )


def to_cursor(product_id: str) -> str:
    return base64.urlsafe_b64encode(product_id.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid([("cursor", "is not one that this service gave")]) from error
