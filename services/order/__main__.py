"""The order service: ``python -m services.order``. The only place here that reads the environment."""

from __future__ import annotations

from fastapi import FastAPI

from eventbus import Bus, Service, Settings, serve
from services.order.admission import Admission
from services.order.api import OrderApi
from services.order.decider import order_decider
from services.order.prices import OnePrice
from services.order.settings import OrderSettings


def service(settings: OrderSettings | None = None) -> Service:
    """The order service, wired up; settings come from the environment unless given."""
    settings = settings or OrderSettings()
    decider = order_decider(settings.deadline, settings.limits)
    prices = OnePrice(settings.default_currency)

    def routes(app: FastAPI, bus: Bus) -> None:
        OrderApi(bus, decider, settings, prices, Admission(bus, settings)).mount(app)

    return Service("order", (decider,), ("schemas",), routes, port=8000, watches=settings.watched_topics)


if __name__ == "__main__":
    serve(service(), Settings())
