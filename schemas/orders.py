"""What must hold within one OrderCreated, for all who act on it."""

from __future__ import annotations

from schemas.messages import OrderCreated
from schemas.money import EXPONENTS, money_text


def inconsistency(order: OrderCreated) -> str | None:
    """How an OrderCreated contradicts itself, as a sentence; None if it does not.

    Order writes none that does, in any version: one of version 1 has an item without a price and is worth nothing. So
    such a record is not order's, and nobody is to be charged or sent goods because of it.
    """
    said = f"OrderCreated of order {order.order_id[:100]!r}"
    if order.currency not in EXPONENTS:
        return f"{said} is in {order.currency[:20]!r}, which is no currency"
    for index, item in enumerate(order.items):
        if item.quantity < 1 or item.unit_price < 0:
            return f"{said} has {item.quantity} pieces at {item.unit_price} minor units in items[{index}]"
    value = sum(item.quantity * item.unit_price for item in order.items)
    if value != order.total_amount:
        total, worth = (money_text(amount, order.currency) for amount in (order.total_amount, value))
        return f"{said} has a total of {total}, but its items are worth {worth}"
    return None
