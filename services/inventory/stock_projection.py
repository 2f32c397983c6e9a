"""The stock as clients read it: pieces available and reserved of each product, in order of product id."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from eventbus import Envelope
from schemas import StockAdjusted, StockReleased, StockReserved, StockShipped


class Database(Protocol):
    """Where the stock is read: this replica's tables."""

    def query(self, sql: str, args: tuple[object, ...] = ()) -> list[sqlite3.Row]: ...


class StockProjection:
    """The table ``stock``: a row for every product ever put in stock. Times are ms since epoch, UTC."""

    tables = """
CREATE TABLE IF NOT EXISTS stock (product_id TEXT PRIMARY KEY, partition INTEGER NOT NULL,
    available INTEGER NOT NULL, reserved INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID
"""

    def apply(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        """Fold one event of the stock half; refusals and repeats move nothing."""
        event = envelope.message
        match event:
            case StockAdjusted():
                moved = 0
            case StockReserved(quantity=quantity):
                moved = quantity
            case StockReleased(quantity=quantity) | StockShipped(quantity=quantity) if quantity:
                moved = -quantity
            case _:
                return
        db.execute(
            "INSERT INTO stock VALUES (?, ?, ?, ?, ?) ON CONFLICT (product_id) DO UPDATE SET"
            " available = excluded.available, reserved = reserved + excluded.reserved,"
            " updated_at = excluded.updated_at",
            (event.product_id, envelope.partition, event.available_qty, moved, envelope.time),
        )


def product(db: Database, product_id: str) -> sqlite3.Row | None:
    """The row of one product; None if it was never put in stock."""
    rows = db.query("SELECT * FROM stock WHERE product_id = ?", (product_id,))
    return rows[0] if rows else None


def products(db: Database, after: str, limit: int) -> list[sqlite3.Row]:
    """Up to ``limit`` products whose id is greater than ``after``, by id."""
    return db.query("SELECT * FROM stock WHERE product_id > ? ORDER BY product_id LIMIT ?", (after, limit))
