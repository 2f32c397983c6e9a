"""Forged reports, of somebody who may write to the topics of others: each contradicts what was asked for."""

from __future__ import annotations

from eventbus import Message
from schemas import (
    InventoryFailed,
    InventoryReserved,
    Item,
    OrderCreated,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    StockAnswered,
)

FORGED = (
    "PaymentSucceeded",
    "PaymentRefunded",
    "PaymentFailed",
    "InventoryReserved",
    "InventoryFailed",
    "StockAnswered",
    "OrderCreated",
)
"""What a forger sends; each contradicts every order there is."""


def forged(name: str, order: str) -> Message:
    """A report that contradicts the order, whatever it asked for: no order here is of so many pieces."""
    much = (Item(product_id="cup", quantity=99, unit_price=7),)
    match name:
        case "PaymentSucceeded":
            return PaymentSucceeded(order_id=order, user_id="eve", amount=1, currency="JPY")
        case "PaymentRefunded":
            return PaymentRefunded(order_id=order, amount=1, currency="JPY")
        case "PaymentFailed":
            return PaymentFailed(order_id=order, user_id="eve", reason="forged", items=much, amount=693)
        case "InventoryReserved":
            return InventoryReserved(order_id=order, user_id="eve", items=much)
        case "InventoryFailed":
            return InventoryFailed(
                order_id=order, user_id="eve", product_id="cup", quantity=99, available_qty=0, reason="forged"
            )
        case "StockAnswered":
            return StockAnswered(
                order_id=order, product_id="cup", outcome="RESERVED", quantity=99, available_qty=0
            )
    return OrderCreated(order_id=order, user_id="eve", items=much, total_amount=1)
