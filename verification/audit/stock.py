"""One product, from its log: what was put in, is available, is held for which order, and has been shipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from verification.audit.findings import Broken


class StockMove(NamedTuple):
    """One event of ``stock.events``: ``kind`` is adjusted, reserved, released, shipped or refused.

    ``available`` is what the event says is available after it; ``order`` is None for an adjustment.
    """

    kind: str
    order: str | None
    quantity: int
    available: int


LEGAL = {
    "reserved": ("NONE",),
    "released": ("NONE", "HELD", "REFUSED"),
    "shipped": ("HELD",),
}
"""By kind of move, the states of an order's hold in which it is legal. RELEASED and SHIPPED are final."""

AFTER = {"reserved": "HELD", "released": "RELEASED", "shipped": "SHIPPED"}


@dataclass(slots=True)
class Product:
    """Pieces of one product. It began with none: ``adjusted`` is all that ever came, less what went by hand.

    ``lowest`` is the least that was ever available; ``holds`` has each order's state and the quantity in it.
    """

    adjusted: int = 0
    available: int = 0
    held: int = 0
    shipped: int = 0
    lowest: int = 0
    holds: dict[str, tuple[str, int]] = field(default_factory=dict)

    def holds_of(self, order: str) -> tuple[int, int]:
        """Pieces held for an order, and pieces that left for it."""
        state, quantity = self.holds.get(order, ("NONE", 0))
        return (quantity if state == "HELD" else 0), (quantity if state == "SHIPPED" else 0)

    def fold(self, move: StockMove) -> list[Broken]:
        """Fold one event; returns the rules it breaks."""
        broken = self._legal(move)
        change = self._change(move)
        if self.available + change != move.available:
            expected = f"{self.available + change:,} available after {move.kind} {move.quantity:,}"
            broken.append(Broken("stock arithmetic", expected, f"{move.available:,}"))
        self.available = move.available
        self.lowest = min(self.lowest, move.available)
        if move.available < 0:
            broken.append(Broken("available never negative", "0 or more available", f"{move.available:,}"))
        return broken

    def _legal(self, move: StockMove) -> list[Broken]:
        if move.order is None or move.kind not in LEGAL:
            return []
        state, quantity = self.holds.get(move.order, ("NONE", 0))
        if state not in LEGAL[move.kind]:
            expected = f"{move.kind} only after {' or '.join(LEGAL[move.kind])}"
            return [Broken("legal holds", f"{expected}, of order {move.order}", f"{move.kind} after {state}")]
        due = quantity if state == "HELD" else 0
        if move.kind != "reserved" and move.quantity != due:
            return [Broken("legal holds", f"{due:,} {move.kind} of order {move.order}", f"{move.quantity:,}")]
        return []

    def _change(self, move: StockMove) -> int:
        """Move the pieces; returns by how much that changes what is available."""
        if move.order is not None and move.kind in AFTER:
            self.holds[move.order] = (AFTER[move.kind], move.quantity)
        elif move.order is not None and move.order not in self.holds:
            self.holds[move.order] = ("REFUSED", 0)
        match move.kind:
            case "adjusted":
                self.adjusted += move.quantity
                return move.quantity
            case "reserved":
                self.held += move.quantity
                return -move.quantity
            case "released":
                self.held -= move.quantity
                return move.quantity
            case "shipped":
                self.held -= move.quantity
                self.shipped += move.quantity
        return 0
