"""The stock half of inventory, pure: one product's shelf, which never goes below zero.

Quantities are pieces. What is *available* is on the shelf and promised to nobody; what is *reserved* is held
for orders, one hold an order:

    nothing ──ReserveStock──▶ HELD ──ReleaseStock──▶ RELEASED
       │           │            └────ShipStock─────▶ SHIPPED
       │           └─short──▶ REFUSED ─ReleaseStock─▶ RELEASED
       └────────ReleaseStock───────────────────────▶ RELEASED

RELEASED is also the tombstone of a release that came first: it refuses the reservation that comes after.
Every command of an order leaves an event here and an answer to the order half; a repeat leaves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from eventbus import Decider, Message, Table
from schemas import (
    AdjustStock,
    ReleaseStock,
    ReserveStock,
    ShipStock,
    StockAdjusted,
    StockAnswered,
    StockRefused,
    StockReleased,
    StockRepeated,
    StockReserved,
    StockShipped,
)
from services.inventory.answers import Answer
from services.inventory.shelf import Shelf

MOST = 2**31 - 1
"""The most pieces of one product there can be, available and reserved together: what an Avro int can say."""


class Hold(StrEnum):
    """What became of one order's wish for this product."""

    HELD = "HELD"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"


@dataclass(frozen=True)
class Held:
    """One order's hold on this product; ``quantity`` is what it held, 0 if it never did."""

    hold: Hold
    quantity: int = 0


@dataclass(frozen=True)
class Stock:
    """One product: its ``holds`` by order id, and the fingerprints of its ``adjustments`` by their ids."""

    available: int = 0
    reserved: int = 0
    holds: Table[Held] = field(default_factory=Table)
    adjustments: Table[str] = field(default_factory=Table)


OrderCommand = ReserveStock | ReleaseStock | ShipStock
Input = OrderCommand | AdjustStock
Own = StockAdjusted | StockReserved | StockReleased | StockShipped | StockRefused | StockRepeated


def decide(command: Input, stock: Stock) -> Sequence[Message]:
    """No events means this was answered before."""
    match command:
        case ReserveStock():
            return reserve(command, stock)
        case ReleaseStock():
            return release(command, stock)
        case ShipStock():
            return ship(command, stock)
        case AdjustStock():
            return adjust(command, stock)
    assert_never(command)


def reserve(command: ReserveStock, stock: Stock) -> Sequence[Message]:
    """Hold all of the quantity for the order, or nothing."""
    held, quantity = stock.holds.get(command.order_id), command.quantity
    if held is not None:
        if held.hold is Hold.RELEASED:
            return refuse(command, stock, quantity, "The order was released before")
        return []
    if quantity <= 0:
        return refuse(command, stock, quantity, "The quantity must be positive")
    if quantity > stock.available:
        return refuse(command, stock, quantity, "Insufficient inventory")
    left = stock.available - quantity
    return [
        StockReserved(
            product_id=command.product_id, order_id=command.order_id, quantity=quantity, available_qty=left
        ),
        answer(command, Answer.RESERVED, quantity, left),
    ]


def release(command: ReleaseStock, stock: Stock) -> Sequence[Message]:
    """Put back what the order holds, which may be nothing; later reservations of it are refused."""
    held = stock.holds.get(command.order_id)
    if held is not None and held.hold is Hold.RELEASED:
        return []
    if held is not None and held.hold is Hold.SHIPPED:
        return refuse(command, stock, held.quantity, "The stock has left", Answer.SHIPPED)
    back = held.quantity if held is not None else 0
    available = stock.available + back
    return [
        StockReleased(
            product_id=command.product_id, order_id=command.order_id, quantity=back, available_qty=available
        ),
        answer(command, Answer.RELEASED, back, available),
    ]


def ship(command: ShipStock, stock: Stock) -> Sequence[Message]:
    """Let what the order holds leave."""
    held = stock.holds.get(command.order_id)
    if held is not None and held.hold is Hold.SHIPPED:
        return []
    if held is None or held.hold is not Hold.HELD:
        return refuse(command, stock, 0, "Nothing is held for the order")
    return [
        StockShipped(
            product_id=command.product_id,
            order_id=command.order_id,
            quantity=held.quantity,
            available_qty=stock.available,
        ),
        answer(command, Answer.SHIPPED, held.quantity, stock.available),
    ]


def refuse(
    command: OrderCommand, stock: Stock, quantity: int, reason: str, outcome: Answer = Answer.REFUSED
) -> Sequence[Message]:
    """Nothing moves, and the order half hears of it."""
    refused = StockRefused(
        product_id=command.product_id,
        order_id=command.order_id,
        command=command.name,
        quantity=quantity,
        available_qty=stock.available,
        reason=reason,
    )
    return [refused, answer(command, outcome, quantity, stock.available)]


def answer(command: OrderCommand, outcome: Answer, quantity: int, available: int) -> StockAnswered:
    return StockAnswered(
        order_id=command.order_id,
        product_id=command.product_id,
        outcome=outcome.value,
        quantity=quantity,
        available_qty=available,
    )


def adjust(command: AdjustStock, stock: Stock) -> Sequence[Message]:
    """Goods come, go, or are counted. What has an id happens once; what was refused may be tried again."""
    if command.adjustment_id is not None:
        known = stock.adjustments.get(command.adjustment_id)
        if known is not None:
            return [
                StockRepeated(
                    product_id=command.product_id,
                    adjustment_id=command.adjustment_id,
                    identical=known == command.fingerprint,
                )
            ]
    if (reason := obstacle(command.quantity, stock)) is not None:
        return [
            StockRefused(
                product_id=command.product_id,
                command=command.name,
                quantity=command.quantity,
                available_qty=stock.available,
                reason=reason,
                adjustment_id=command.adjustment_id,
            )
        ]
    return [
        StockAdjusted(
            product_id=command.product_id,
            quantity=command.quantity,
            reason=command.reason,
            available_qty=stock.available + command.quantity,
            adjustment_id=command.adjustment_id,
            fingerprint=command.fingerprint,
        )
    ]


def obstacle(quantity: int, stock: Stock) -> str | None:
    """Why the shelf cannot be adjusted by ``quantity``, if it cannot."""
    if quantity == 0:
        return "An adjustment by zero changes nothing"
    if stock.available + quantity < 0:
        return f"Stock would go below zero: {stock.available} available"
    if stock.available + stock.reserved + quantity > MOST:
        return f"Stock would exceed {MOST}"
    return None


def evolve(stock: Stock, event: Own) -> Stock:
    """Fold one event of the stock half's own log."""
    match event:
        case StockAdjusted():
            adjusted = replace(stock, available=stock.available + event.quantity)
            if event.adjustment_id is None:
                return adjusted
            return replace(
                adjusted, adjustments=stock.adjustments.put(event.adjustment_id, event.fingerprint)
            )
        case StockReserved():
            moved = replace(
                stock, available=stock.available - event.quantity, reserved=stock.reserved + event.quantity
            )
            return with_hold(moved, event.order_id, Held(Hold.HELD, event.quantity))
        case StockReleased():
            moved = replace(
                stock, available=stock.available + event.quantity, reserved=stock.reserved - event.quantity
            )
            return with_hold(moved, event.order_id, Held(Hold.RELEASED, event.quantity))
        case StockShipped():
            moved = replace(stock, reserved=stock.reserved - event.quantity)
            return with_hold(moved, event.order_id, Held(Hold.SHIPPED, event.quantity))
        case StockRefused(command=ReserveStock.name, order_id=str(order_id)) if order_id not in stock.holds:
            return with_hold(stock, order_id, Held(Hold.REFUSED))
        case StockRefused() | StockRepeated():
            return stock
    assert_never(event)


def with_hold(stock: Stock, order_id: str, held: Held) -> Stock:
    return replace(stock, holds=stock.holds.put(order_id, held))


stock_decider: Decider[Stock] = Decider(
    log="stock.events",
    inputs=(ReserveStock, ReleaseStock, ShipStock, AdjustStock),
    initial=Stock(),
    decide=decide,
    evolve=evolve,
    fold_version=1,
    projection=Shelf(),
)
