"""Whether a report of payment or inventory agrees with what the order asked for."""

from __future__ import annotations

from eventbus import Message
from schemas import (
    InventoryFailed,
    InventoryReserved,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
)
from schemas.money import money_text
from schemas.orders import quantity_by_product
from services.order.state import Order

ONE_PRODUCT = "1.0"
"""The version of the messages that name one product and no money: their ``items`` and ``amount`` were filled in."""


def contradiction(report: Message, order: Order) -> str | None:
    """How ``report`` contradicts the order it is about, as a predicate for its name; None if it does not.

    The money, products and quantities that the report carries are compared. What it leaves out contradicts nothing.
    An order that names no price cannot be paid. A payment and a refund of nothing may come: older code of
    payment takes its price for zero.
    """
    match report:
        case PaymentSucceeded(amount=0) | PaymentRefunded(amount=0) if order.unpriced:
            return None
        case PaymentSucceeded() | PaymentRefunded():
            return _other_money(report.amount, report.currency, order)
        case PaymentFailed():
            money = _other_money(report.amount, report.currency, order) if report.amount else None
            return money or _other_items(report, order)
        case InventoryReserved():
            same = quantity_by_product(report.items) == quantity_by_product(order.items)
            return None if same else "names other items"
        case InventoryFailed():
            return _other_items(report, order)
    return None


def _other_money(amount: int, currency: str, order: Order) -> str | None:
    if order.unpriced:
        return f"is over {money_text(amount, currency)}, but the order names no price"
    if (amount, currency) == (order.total_amount, order.currency):
        return None
    return f"is over {money_text(amount, currency)}, not {money_text(order.total_amount, order.currency)}"


def _other_items(report: PaymentFailed | InventoryFailed, order: Order) -> str | None:
    wanted = quantity_by_product(order.items)
    asked = wanted.get(report.product_id or "", 0)
    if report.product_id is not None and report.quantity != asked:
        return f"is about {report.quantity} of product {report.product_id[:100]!r}, not {asked}"
    items = report.items if report.version != ONE_PRODUCT else ()
    return "names other items" if items and quantity_by_product(items) != wanted else None
