"""The order service: ``python -m services.order``. The only place here that reads the environment."""

from __future__ import annotations

from fastapi import FastAPI

from eventbus import Bus, Service, Settings, serve
from services.order.admission import Admission
from services.order.api import OrderApi
from services.order.decider import order_decider
from services.order.prices import OnePrice
from services.order.settings import OrderSettings

WATCHED = ("payment.retry", "inventory.retry", "notification.retry")
"""Where messages of an order may wait beside its own service."""


def service(settings: OrderSettings) -> Service:
    """The order service, wired up."""
    decider = order_decider(settings.deadline, settings.limits)
    prices = OnePrice(settings.default_currency)

    def routes(app: FastAPI, bus: Bus) -> None:
        OrderApi(bus, decider, settings, prices, Admission(bus, settings)).mount(app)

    return Service(
        name="order", deciders=(decider,), schemas=("schemas",), routes=routes, port=8000, watches=WATCHED
    )


if __name__ == "__main__":
    serve(service(OrderSettings()), Settings())
