"""What clients send and see: stock, a page of it, and an adjustment. Quantities are pieces."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from eventbus.http import field_path, invalid, parse_json
from services.inventory.stock import MOST

MAX_VALUES = 1_000
"""Of the body of an adjustment, which has two."""


class StockView(BaseModel):
    """One product: pieces available, pieces held for orders, and when either last changed (UTC)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    product_id: str
    available_qty: int
    reserved_qty: int
    updated_at: datetime


class StockPage(BaseModel):
    """Products in order of their ids. ``nextCursor`` asks for the page after this one; null on the last."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[StockView]
    next_cursor: str | None


NOT_ZERO: dict[str, Any] = {"type": "integer", "minimum": -MOST, "maximum": MOST, "not": {"const": 0}}


def not_zero(quantity: int) -> int:
    if quantity == 0:
        raise ValueError("must not be zero")
    return quantity


class Adjustment(BaseModel):
    """Pieces that came (positive) or went (negative), and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    quantity: Annotated[int, Field(ge=-MOST, le=MOST), AfterValidator(not_zero), WithJsonSchema(NOT_ZERO)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]

    def fingerprint(self) -> str:
        """SHA-256 of what is asked for: tells a repeat from another request under the same key."""
        return hashlib.sha256(json.dumps([self.quantity, self.reason]).encode()).hexdigest()


ADJUSTMENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Adjustment.model_json_schema()}},
    }
}
"""For OpenAPI: the route reads its body itself, whatever content type the client named."""


def parse_adjustment(raw: bytes) -> Adjustment:
    """The adjustment in a request body. Raises Problem: 400 if it is no JSON, 422 naming what is wrong."""
    data = parse_json(raw, MAX_VALUES)
    try:
        return Adjustment.model_validate(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid(
            (field_path(e["loc"]), e["msg"].removeprefix("Value error, ")) for e in wrong
        ) from error


def stock_view(row: sqlite3.Row) -> StockView:
    """A row of the shelf as clients see it."""
    return StockView(
        product_id=row["product_id"],
        available_qty=row["available"],
        reserved_qty=row["reserved"],
        updated_at=datetime.fromtimestamp(row["updated_at"] / 1000, UTC),
    )
