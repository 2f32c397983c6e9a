"""What all services compute of the items of an order, and what must hold within one OrderCreated."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.messages import Item, OrderCreated
from schemas.money import EXPONENTS, NO_CURRENCY, money_text


def total_of(items: Iterable[Item]) -> int:
    """Value of the items in minor units."""
    return sum(item.quantity * item.unit_price for item in items)


def quantity_by_product(items: Iterable[Item]) -> dict[str, int]:
    """Pieces of each product, in the order the products first appear: real invoices repeat products."""
    quantities: dict[str, int] = {}
    for item in items:
        quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
    return quantities


def is_priced(order: OrderCreated) -> bool:
    """Whether it is known what the order costs. Of an order of version 1 it is not, which does not make it free."""
    return order.currency != NO_CURRENCY


def inconsistency(order: OrderCreated) -> str | None:
    """How an OrderCreated contradicts itself, as a sentence; None if it does not.

    The order service never writes such an event, in any version. So the record is a forgery, and no customer may be
    charged or sent goods because of it. An order that is not priced has a total of 0, and so has its item.
    """
    subject = f"OrderCreated of order {order.order_id[:100]!r}"
    if not is_priced(order) and (order.total_amount or any(item.unit_price for item in order.items)):
        return f"{subject} has prices, but no currency"
    if is_priced(order) and order.currency not in EXPONENTS:
        return f"{subject} is in {order.currency[:20]!r}, which is no currency"
    for index, item in enumerate(order.items):
        if item.quantity < 1 or item.unit_price < 0:
            return f"{subject} has {item.quantity} pieces at {item.unit_price} minor units in items[{index}]"
    value = total_of(order.items)
    if value != order.total_amount:
        total, worth = (money_text(amount, order.currency) for amount in (order.total_amount, value))
        return f"{subject} has a total of {total}, but its items are worth {worth}"
    return None
