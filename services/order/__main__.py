"""The order service: ``python -m services.order``. Only this file reads the environment."""

from __future__ import annotations

from eventbus import Mirror, Service, Settings, serve
from schemas import CancelOrder, CompleteOrder, CreateOrder, OrderCreated
from services.order.access import RULES
from services.order.api import order_routes
from services.order.decider import order_decider
from services.order.prices import OnePrice
from services.order.settings import OrderSettings


def service(settings: OrderSettings | None = None) -> Service:
    """What the order service is made of."""
    settings = settings or OrderSettings()
    order = order_decider(settings.deadline, settings.limits)
    prices = OnePrice(settings.default_currency)
    return Service(
        name="order",
        deciders=(order,),
        schemas=("schemas",),
        mirrors=(Mirror(OrderCreated, major=1),) if Settings().v1_topics else (),
        routes=order_routes(order, settings, prices),
        rules=RULES,
        sends=(CreateOrder, CancelOrder, CompleteOrder),
        port=8000,
        watches=settings.watched_topics,
        transactions_share=0.16,  # while it rests, payment and inventory answer
    )


if __name__ == "__main__":
    serve(service(), Settings())
