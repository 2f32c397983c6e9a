"""The HTTP side of inventory: what is in stock, and adjusting it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import AfterValidator

from eventbus import Bus, Rule, Rules, Scope
from eventbus.http import (
    IDEMPOTENCY_KEY_REUSED,
    MALFORMED_JSON,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
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
)
from schemas import AdjustStock
from services.inventory.adjusting import Adjusting
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
        MALFORMED_JSON,
        IDEMPOTENCY_KEY_REUSED,
        NOT_ENOUGH_STOCK,
        NOT_FOUND,
        PRODUCT_NOT_FOUND,
        UNAVAILABLE,
        NOT_DECIDED_IN_TIME,
        NOT_DECIDED,
    ),
}
PAGE: Responses = {
    200: json_example({"items": [STOCK], "nextCursor": "ZGVtby13aWRnZXQ"}),
    **problem_responses(UNAVAILABLE),
}
ONE: Responses = {
    200: json_example(STOCK),
    **problem_responses(NOT_FOUND, PRODUCT_NOT_FOUND, METHOD_NOT_ALLOWED, UNAVAILABLE),
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
        adjusting = Adjusting(bus, settings.answer_timeout)

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
            require_fresh(bus)
            stock, replayed = await adjusting.adjust(command, request)
            if replayed:
                response.headers["Idempotent-Replay"] = "true"
            return stock or await stock_of(bus, product_id)

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
