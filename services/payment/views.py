"""What clients see of a payment. Amounts are decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

from pydantic import BaseModel

from eventbus import Entry
from eventbus.http import Time, rfc3339
from schemas.money import EXPONENTS, decimal_text
from services.payment.decider import Payment, Status

EXAMPLE = {
    "orderId": "5013e32a-78d8-583b-9096-bc5c8a2a3005",
    "userId": "u1",
    "status": "PAID",
    "amount": "5.10",
    "currency": "GBP",
    "chargeId": "ch_7Yw2",
    "version": 2,
    "createdAt": "2026-11-28T09:00:00.000Z",
    "updatedAt": "2026-11-28T09:00:00.000Z",
}
"""For ``/openapi.json``."""


class PaymentView(BaseModel):
    """``amount`` is a decimal string in ``currency``. Both are null where the order ended before it was charged, or
    names no price. ``userId`` is null until the payment succeeded or failed."""

    orderId: str
    userId: str | None
    status: Status
    amount: str | None
    currency: str | None
    chargeId: str | None
    version: int
    createdAt: Time
    updatedAt: Time


def payment_view(entry: Entry[Payment]) -> PaymentView:
    """The payment as clients see it."""
    payment = entry.state
    currency = payment.currency if payment.currency in EXPONENTS else None
    return PaymentView(
        orderId=entry.key,
        userId=payment.user_id or None,
        status=payment.status,
        amount=None if currency is None else decimal_text(payment.amount, currency),
        currency=currency,
        chargeId=payment.charge_id,
        version=entry.version,
        createdAt=rfc3339(payment.created_at),
        updatedAt=rfc3339(entry.updated_at),
    )
