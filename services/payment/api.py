"""Payment over HTTP: where the payment of an order stands. Read from the local state of any replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import AfterValidator

from eventbus import Bus, Reactor
from eventbus.http import ONE_LINE, Problem, one_line, problem_responses, require_fresh
from services.payment.decider import Payment
from services.payment.list_api import PaymentLists
from services.payment.views import PaymentView, payment_view

OrderId = Annotated[
    str,
    Path(min_length=1, max_length=100, json_schema_extra={"pattern": ONE_LINE}),
    AfterValidator(one_line),
]
_REFUSALS = problem_responses({404: "No payment of such an order is known.", 503: "Kafka is away."})


def payment_routes(reactor: Reactor[Payment]) -> Callable[[FastAPI, Bus], None]:
    """The routes of payment, for ``Service.routes``."""

    def add(app: FastAPI, bus: Bus) -> None:
        @app.get("/payments/{order_id}", summary="The payment of an order", responses=_REFUSALS)
        async def payment(order_id: OrderId) -> PaymentView:
            require_fresh(bus)
            entry = bus.read(reactor, order_id)
            if entry is None:
                raise Problem(404, "Unknown payment", f"nothing is known of a payment for order {order_id}")
            return payment_view(entry)

        PaymentLists(bus, reactor).mount(app)

    return add
