"""What templates may name: the values of an event, written as people of a language write amounts and times."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_decimal

from schemas import (
    InventoryFailed,
    Item,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from schemas.money import EXPONENTS, money_text
from services.notification.request import Input
from services.notification.text import on_one_line

MOST_ITEMS = 100
"""Lines of an order that a letter shows."""
MAX_TIME = 253_370_764_800_000
"""9999-01-01 in ms since epoch. A later time cannot be shown as a date."""


@dataclass(frozen=True)
class Formats:
    """How amounts, numbers and times are written."""

    locale: Locale
    timezone: ZoneInfo

    def money(self, amount: int, currency: str) -> str | None:
        """Minor units, such as ``5,10 £``, with the decimals of ISO 4217; None if no price is known."""
        if not currency:
            return None
        if currency not in EXPONENTS:
            return money_text(amount, currency)
        # Babel has decimals of its own for a currency: none for RSD. An order has those of ISO 4217.
        exponent = EXPONENTS[currency]
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = (exponent, exponent)
        value = Decimal(amount).scaleb(-exponent)
        return str(pattern.apply(value, self.locale, currency=currency, currency_digits=False))

    def number(self, number: int) -> str:
        return str(format_decimal(number, locale=self.locale))

    def time(self, timestamp: int) -> str | None:
        """Ms since epoch, such as ``5. Januar 2026, 10:00:00 UTC``; None if it is no time."""
        if not 0 < timestamp < MAX_TIME:
            return None
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp)
        return str(format_datetime(instant, "long", tzinfo=self.timezone, locale=self.locale))


def values(event: Input, formats: Formats) -> dict[str, Any]:
    """By name. Texts are on one line each; what is not known is None."""
    named: dict[str, Any] = {
        "language": str(formats.locale).replace("_", "-"),
        "order_id": on_one_line(event.order_id),
        "time": formats.time(event.timestamp),
        "total": None,
        "items": [],
        "more_items": 0,
        "reason": None,
    }
    match event:
        case OrderCreated():
            named |= _items(event.items, event.currency, formats)
            named["total"] = formats.money(event.total_amount, event.currency)
        case OrderConfirmed():
            named["total"] = formats.money(event.total_amount, event.currency)
        case PaymentFailed():
            named["total"] = formats.money(event.amount, event.currency)
        case InventoryFailed():
            named["product_id"] = on_one_line(event.product_id or "")
            named["quantity"] = formats.number(event.quantity or 0)
            named["available"] = formats.number(event.available_qty)
        case _:
            pass
    if isinstance(event, PaymentFailed | OrderCancelled | OrderFailed):
        named["reason"] = on_one_line(event.reason or "") or None
    return named


def _items(items: tuple[Item, ...], currency: str, formats: Formats) -> dict[str, Any]:
    shown = [
        {
            "product_id": on_one_line(item.product_id),
            "quantity": formats.number(item.quantity),
            "unit_price": formats.money(item.unit_price, currency),
            "amount": formats.money(item.quantity * item.unit_price, currency),
        }
        for item in items[:MOST_ITEMS]
    ]
    return {"items": shown, "more_items": len(items) - len(shown)}
