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
from services.notification.decider import Input

DECIMALS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0) | (
    dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)
"""Digits of the minor unit where they are not two (ISO 4217)."""


def sentence(event: Input) -> str:
    """The message for one event, on one line."""
    order = f"your order {event.order_id}"
    match event:
        case OrderCreated():
            text = f"Thank you: {order} over {money(event.total_amount, event.currency)} has arrived."
        case PaymentFailed():
            text = f"The payment for {order} did not go through: {event.reason}."
        case InventoryFailed():
            text = (
                f"We cannot deliver {order}: of product {event.product_id} you asked for {event.quantity}, "
                f"and {event.available_qty} are left."
            )
        case OrderConfirmed():
            text = f"Good news: {order} over {money(event.total_amount, event.currency)} is confirmed."
        case OrderCancelled():
            text = f"As you wished, {order} is cancelled. What you paid for it comes back to you."
        case OrderCompleted():
            text = f"{order[0].upper()}{order[1:]} is complete. Enjoy it."
        case OrderFailed():
            text = f"We could not finish {order} in time, so it has ended. What you paid comes back to you."
        case _:
            assert_never(event)
    return " ".join(text.split())


def money(amount: int, currency: str) -> str:
    """``money(255, "GBP")`` is ``2.55 GBP``; ``amount`` in minor units."""
    decimals = DECIMALS.get(currency, 2)
    if not decimals:
        return f"{amount} {currency}"
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}d} {currency}"
