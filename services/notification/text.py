"""What the customer reads: one sentence or two for each kind of event."""

from __future__ import annotations

from typing import assert_never

from schemas import (
    InventoryFailed,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from schemas.money import NO_CURRENCY, money_text
from services.notification.request import Input

MAX_LINE = 2_000
"""Characters of one line."""


def sentence(event: Input) -> str:
    """The message for one event, on one line."""
    order = f"your order {event.order_id}"
    match event:
        case OrderCreated():
            text = f"Thank you. We received {order}{worth(event)}."
        case PaymentFailed():
            text = f"The payment for {order} failed: {event.reason}."
        case InventoryFailed():
            text = (
                f"We cannot deliver {order}. You ordered {event.quantity} of product {event.product_id}; "
                f"available: {event.available_qty}."
            )
        case OrderConfirmed():
            text = f"Your order {event.order_id}{worth(event)} is confirmed."
        case OrderCancelled():
            text = f"Your order {event.order_id} was cancelled. We refund what you paid for it."
        case OrderCompleted():
            text = f"Your order {event.order_id} is complete."
        case OrderFailed():
            text = f"We could not complete {order} in time, so it has ended. We refund what you paid for it."
        case _:
            assert_never(event)
    return on_one_line(text)


def worth(event: OrderCreated | OrderConfirmed) -> str:
    """What the order costs, to stand after its id; empty if no price is known."""
    if event.currency == NO_CURRENCY:
        return ""
    return f" of {money_text(event.total_amount, event.currency)}"


def on_one_line(text: str) -> str:
    """``text`` without line breaks, control characters or escape sequences, and of bounded length.

    The rules of an order refuse such texts, but events of other systems or older releases may hold them.
    """
    plain = " ".join(text.split())
    if not plain.isprintable():
        plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in plain)
    return plain if len(plain) <= MAX_LINE else f"{plain[: MAX_LINE - 1]}…"
