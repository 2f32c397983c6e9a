"""Payment over HTTP: where the payment of an order stands. Read from the local state of any replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import AfterValidator, BaseModel

from eventbus import Bus, Entry, Reactor, Rule, Rules, Scope
from eventbus.http import (
    ONE_LINE,
    UNAVAILABLE,
    Problem,
    Responses,
    Time,
    json_example,
    one_line,
    problem_responses,
    require_fresh,
    rfc3339,
)
from schemas.money import EXPONENTS, decimal_text
from services.payment.decider import Payment, Status
from services.payment.problems import PAYMENT_NOT_FOUND

OrderId = Annotated[
    str,
    Path(
        examples=["5013e32a-78d8-583b-9096-bc5c8a2a3005"],
        min_length=1,
        max_length=100,
        json_schema_extra={"pattern": ONE_LINE},
    ),
    AfterValidator(one_line),
]
RULES: Rules = {"GET /payments/{order_id}": Rule(Scope.READ)}
"""What each route asks of its caller. A payment does not say whose it is: a customer sees it in the order."""
PAYMENT: Responses = {
    200: json_example(
        {
            "orderId": "5013e32a-78d8-583b-9096-bc5c8a2a3005",
            "status": "PAID",
            "amount": "5.10",
            "currency": "GBP",
            "chargeId": "ch_7Yw2",
            "version": 2,
            "updatedAt": "2026-11-28T09:00:00.000Z",
        }
    ),
    **problem_responses(PAYMENT_NOT_FOUND, UNAVAILABLE),
}


class PaymentView(BaseModel):
    """``amount`` is a decimal string in ``currency``. Both are null where the order ended before it was charged, or
    names no price."""

    orderId: str
    status: Status
    amount: str | None
    currency: str | None
    chargeId: str | None
    version: int
    updatedAt: Time


def payment_routes(reactor: Reactor[Payment]) -> Callable[[FastAPI, Bus], None]:
    """The routes of payment, for ``Service.routes``."""

    def add(app: FastAPI, bus: Bus) -> None:
        @app.get("/payments/{order_id}", summary="The payment of an order", responses=PAYMENT)
        async def payment(order_id: OrderId) -> PaymentView:
            require_fresh(bus)
            entry = bus.read(reactor, order_id)
            if entry is None:
                raise Problem(PAYMENT_NOT_FOUND, f"nothing is known of a payment for order {order_id}")
            return payment_view(entry)

    return add


def payment_view(entry: Entry[Payment]) -> PaymentView:
    """The payment as clients see it."""
    payment = entry.state
    currency = payment.currency if payment.currency in EXPONENTS else None
    return PaymentView(
        orderId=entry.key,
        status=payment.status,
        amount=None if currency is None else decimal_text(payment.amount, currency),
        currency=currency,
        chargeId=payment.charge_id,
        version=entry.version,
        updatedAt=rfc3339(entry.updated_at),
    )
