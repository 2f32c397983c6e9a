"""Payment over HTTP: where the payment of an order stands. Read from the local state of any replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import AfterValidator

from eventbus import Bus, Reactor, Rule, Rules, Scope
from eventbus.http import (
    ONE_LINE,
    UNAVAILABLE,
    Problem,
    Responses,
    json_example,
    one_line,
    problem_responses,
    require_fresh,
)
from services.payment.decider import Payment
from services.payment.list_api import PaymentLists
from services.payment.problems import PAYMENT_NOT_FOUND
from services.payment.views import EXAMPLE, PaymentView, payment_view

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
RULES: Rules = {
    "GET /payments": Rule(Scope.READ),
    "GET /payments/{order_id}": Rule(Scope.READ),
}
"""What each route asks of its caller. Not each payment says whose it is: a customer sees it in the order."""
PAYMENT: Responses = {200: json_example(EXAMPLE), **problem_responses(PAYMENT_NOT_FOUND, UNAVAILABLE)}


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

        PaymentLists(bus, reactor).mount(app)

    return add
