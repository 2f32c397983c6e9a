"""The fraud service's rules, pure: an order of very many pieces of one product looks suspicious."""

from dataclasses import dataclass

from eventbus import Decider, Event
from examples.fraud.messages import FraudSuspected, OrderCleared
from schemas import OrderCreated

MANY = 100


@dataclass(frozen=True)
class Screening:
    verdict: str = ""  # before the order was looked at


def decide(order: OrderCreated, screening: Screening) -> list[Event]:
    """No events means the order was looked at before."""
    if screening.verdict:
        return []
    if (most := max((item.quantity for item in order.items), default=0)) > MANY:
        reason = f"{most} pieces of one product, more than {MANY}"
        return [FraudSuspected(order_id=order.order_id, user_id=order.user_id, reason=reason)]
    return [OrderCleared(order_id=order.order_id)]


def evolve(_: Screening, event: Event) -> Screening:
    return Screening(event.name)


def screening_decider() -> Decider[Screening]:
    return Decider("fraud.events", (OrderCreated,), Screening(), decide, evolve)
