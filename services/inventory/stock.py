"""The stock half of inventory, pure: the stock of one product, which never goes below zero.

Quantities are pieces. *Available* pieces are in stock and not reserved; *reserved* pieces are held for orders. Each
order has one hold:

    nothing ──ReserveStock──▶ HELD ──ReleaseStock──▶ RELEASED
       │           │            └────ShipStock─────▶ SHIPPED
       │           └─short──▶ REFUSED ─ReleaseStock─▶ RELEASED
       └────────ReleaseStock───────────────────────▶ RELEASED

A release that comes before its reservation also leaves RELEASED: the reservation that comes after it is refused.
Every command of an order leads to an event here and to an answer for the order half; a repeat leads to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace

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
from services.inventory.stock_projection import StockProjection

MAX_PIECES = 2**31 - 1
"""The most pieces of one product there can be, available and reserved together: the largest Avro int."""


class Hold(StrEnum):
    """What happened to one order's hold on this product."""

    HELD = "HELD"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"


class OrderHold(Struct, frozen=True):
    """One order's hold on this product; ``quantity`` is what it held, 0 if it never held any."""

    hold: Hold
    quantity: int = 0


class Stock(Struct, frozen=True):
    """One product: its ``holds`` by order id; by the id of an adjustment its fingerprint, or that it was refused."""

    available: int = 0
    reserved: int = 0
    holds: Table[OrderHold] = field(default_factory=Table)
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
    """Release what the order holds, which may be nothing. Later reservations of the order are refused."""
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
    """Ship what the order holds."""
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
    """Change nothing, and answer the order half so."""
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
    """Add or remove pieces. An adjustment with an id is decided once, also if it is refused."""
    if command.adjustment_id is not None:
        known = stock.adjustments.get(command.adjustment_id)
        if known is not None:
            return [
                StockRepeated(
                    product_id=command.product_id,
                    adjustment_id=command.adjustment_id,
                    identical=known in (command.fingerprint, refused_adjustment(command.quantity)),
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


def refused_adjustment(quantity: int) -> str:
    """What stands in place of the fingerprint of an adjustment that was refused: the log does not hold that."""
    return f"refused: {quantity}"


def obstacle(quantity: int, stock: Stock) -> str | None:
    """Why the stock cannot be adjusted by ``quantity``; None if it can."""
    if quantity == 0:
        return "An adjustment by zero changes nothing"
    if stock.available + quantity < 0:
        return f"Stock would go below zero: {stock.available} available"
    if stock.available + stock.reserved + quantity > MAX_PIECES:
        return f"Stock would exceed {MAX_PIECES}"
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
            return with_hold(moved, event.order_id, OrderHold(Hold.HELD, event.quantity))
        case StockReleased():
            moved = replace(
                stock, available=stock.available + event.quantity, reserved=stock.reserved - event.quantity
            )
            return with_hold(moved, event.order_id, OrderHold(Hold.RELEASED, event.quantity))
        case StockShipped():
            moved = replace(stock, reserved=stock.reserved - event.quantity)
            return with_hold(moved, event.order_id, OrderHold(Hold.SHIPPED, event.quantity))
        case StockRefused(command=ReserveStock.name, order_id=str(order_id)) if order_id not in stock.holds:
            return with_hold(stock, order_id, OrderHold(Hold.REFUSED))
        case StockRefused(command=AdjustStock.name, adjustment_id=str(adjustment_id)):
            known = stock.adjustments.get(adjustment_id, refused_adjustment(event.quantity))
            return replace(stock, adjustments=stock.adjustments.put(adjustment_id, known))
        case StockRefused() | StockRepeated():
            return stock
    assert_never(event)


def with_hold(stock: Stock, order_id: str, held: OrderHold) -> Stock:
    return replace(stock, holds=stock.holds.put(order_id, held))


def stock_decider() -> Decider[Stock]:
    """The decider that writes ``stock.events``."""
    return Decider(
        log="stock.events",
        inputs=(ReserveStock, ReleaseStock, ShipStock, AdjustStock),
        sends=(StockAnswered,),
        initial=Stock(),
        decide=decide,
        evolve=evolve,
        fold_version=2,
        projection=StockProjection(),
    )
