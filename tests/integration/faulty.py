"""``python -m tests.integration.faulty``: the order service with a rule that has a bug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eventbus import Message, Service, Settings, serve
from schemas import CreateOrder
from services.order.__main__ import service
from services.order.settings import OrderSettings
from services.order.state import Order

UNLUCKY = "unlucky"


def with_bug(healthy: Service) -> Service:
    """The service, except that it divides by zero for one user."""
    (decider,) = healthy.deciders

    def decide(message: Message, order: Order) -> Sequence[Message]:
        if isinstance(message, CreateOrder) and message.user_id == UNLUCKY:
            raise ZeroDivisionError("a bug in a rule")
        return list(decider.decide(message, order))  # type: ignore[arg-type]

    return replace(healthy, deciders=(replace(decider, decide=decide),))


if __name__ == "__main__":
    serve(with_bug(service(OrderSettings())), Settings())
