"""The stock as clients read it: pieces available and reserved of each product, in order of product id."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from eventbus import Envelope, RequestId
from schemas import AdjustStock, StockAdjusted, StockRefused, StockReleased, StockReserved, StockShipped


class Database(Protocol):
    """Where the stock is read: this replica's tables."""

    def query(self, sql: str, args: tuple[object, ...] = ()) -> list[sqlite3.Row]: ...


class StockProjection:
    """The table ``stock``: a row for every product ever put in stock. Times are ms since epoch, UTC.

    The table ``stock_adjustments`` has a row for each adjustment with an id: what it asked for, and the stock that
    its first answer told. ``refused`` is why it was refused, null if it was not; ``fingerprint`` null if not known.
    """

    tables = """
CREATE TABLE IF NOT EXISTS stock (product_id TEXT PRIMARY KEY, partition INTEGER NOT NULL,
    available INTEGER NOT NULL, reserved INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stock_adjustments (product_id TEXT, adjustment_id TEXT, partition INTEGER NOT NULL,
    cause TEXT, quantity INTEGER NOT NULL, fingerprint TEXT, refused TEXT, available INTEGER NOT NULL,
    reserved INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (product_id, adjustment_id)) WITHOUT ROWID
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
            case StockRefused(command=AdjustStock.name):
                self._note(db, envelope, event)
                return
            case _:
                return
        db.execute(
            "INSERT INTO stock VALUES (?, ?, ?, ?, ?) ON CONFLICT (product_id) DO UPDATE SET"
            " available = excluded.available, reserved = reserved + excluded.reserved,"
            " updated_at = excluded.updated_at",
            (event.product_id, envelope.partition, event.available_qty, moved, envelope.time),
        )
        if isinstance(event, StockAdjusted):
            self._note(db, envelope, event)

    def _note(self, db: sqlite3.Connection, envelope: Envelope, event: StockAdjusted | StockRefused) -> None:
        """Note the first answer to an adjustment. Older code could carry out one that it had refused before."""
        if event.adjustment_id is None:
            return
        row = db.execute("SELECT reserved FROM stock WHERE product_id = ?", (event.product_id,)).fetchone()
        refused, fingerprint = None, None
        if isinstance(event, StockRefused):
            refused = event.reason
            if request := RequestId.parse(envelope.causation_id):
                fingerprint = request.fingerprint
        else:
            fingerprint = event.fingerprint
        db.execute(
            f"INSERT OR {'IGNORE' if refused else 'REPLACE'} INTO stock_adjustments"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.product_id,
                event.adjustment_id,
                envelope.partition,
                envelope.cause,
                event.quantity,
                fingerprint,
                refused,
                event.available_qty,
                row[0] if row else 0,
                envelope.time,
            ),
        )


def product(db: Database, product_id: str) -> sqlite3.Row | None:
    """The row of one product; None if it was never put in stock."""
    rows = db.query("SELECT * FROM stock WHERE product_id = ?", (product_id,))
    return rows[0] if rows else None


def adjusted(db: Database, product_id: str, adjustment_id: str) -> sqlite3.Row | None:
    """The first answer to an adjustment; None if it is not decided yet."""
    rows = db.query(
        "SELECT * FROM stock_adjustments WHERE product_id = ? AND adjustment_id = ?",
        (product_id, adjustment_id),
    )
    return rows[0] if rows else None


def products(db: Database, after: str, limit: int) -> list[sqlite3.Row]:
    """Up to ``limit`` products whose id is greater than ``after``, by id."""
    return db.query("SELECT * FROM stock WHERE product_id > ? ORDER BY product_id LIMIT ?", (after, limit))
