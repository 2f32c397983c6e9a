"""The messages of this package, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Command, Event, Int32, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """So many of a product at a price."""

    product_id: str
    quantity: Int32
    unit_price: int


@message(topic="basket.commands", key="basket_id", schema="FillBasket.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class FillBasket(Command):
    """Put something into a basket."""

    basket_id: str
    user_id: str
    lines: tuple[Line, ...]
    currency: str
    timestamp: int = 0


@message(topic="basket.events", key="basket_id", schema="BasketFilled.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class BasketFilled(Event):
    """Something was put into a basket."""

    basket_id: str
    user_id: str
    lines: tuple[Line, ...]
    currency: str
    pieces: int
    amount: int
    timestamp: int = 0
