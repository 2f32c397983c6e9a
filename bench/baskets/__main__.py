"""``python -m bench.baskets``: a service that adds up what is put into baskets, wired and run as any other."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from bench.baskets.messages import BasketFilled, FillBasket
from eventbus import Decider, Event, Service, Settings, serve


class Basket(Struct, frozen=True):
    """What is in it: pieces, and what they cost in minor units."""

    pieces: int = 0
    amount: int = 0


def decide(command: FillBasket, basket: Basket) -> Sequence[Event]:
    """Every command adds to what is there."""
    return [
        BasketFilled(
            basket_id=command.basket_id,
            user_id=command.user_id,
            lines=command.lines,
            currency=command.currency,
            pieces=basket.pieces + sum(line.quantity for line in command.lines),
            amount=basket.amount + sum(line.quantity * line.unit_price for line in command.lines),
        )
    ]


def evolve(_: Basket, event: BasketFilled) -> Basket:
    return Basket(event.pieces, event.amount)


baskets = Decider("basket.events", (FillBasket,), Basket(), decide, evolve)
service = Service("basket", (baskets,), ("bench.baskets",), port=8100)
if __name__ == "__main__":
    serve(service, Settings())
