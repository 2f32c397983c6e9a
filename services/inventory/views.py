"""What clients see: stock, and a page of it. Quantities are pieces, times RFC 3339 in UTC."""

from __future__ import annotations

import sqlite3

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from eventbus.http import Time, rfc3339


class StockView(BaseModel):
    """One product: pieces available, pieces held for orders, and when either last changed."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    product_id: str
    available_qty: int
    reserved_qty: int
    updated_at: Time


class StockPage(BaseModel):
    """Products in order of their ids. ``nextCursor`` asks for the page after this one; null on the last."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[StockView]
    next_cursor: str | None


def stock_view(row: sqlite3.Row) -> StockView:
    """A row of :class:`StockProjection` as clients see it."""
    return StockView(
        product_id=row["product_id"],
        available_qty=row["available"],
        reserved_qty=row["reserved"],
        updated_at=rfc3339(row["updated_at"]),
    )
