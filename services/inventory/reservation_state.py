"""What a reservation is: its state, and how its own events fold into it."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from eventbus import Table
from schemas import (
    Contact,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ProductShipped,
    ReleaseStarted,
    ReservationStarted,
    ReservationVoided,
    ShipmentStarted,
)
from schemas.orders import quantity_by_product
from services.inventory.answers import Answer


class Phase(StrEnum):
    """The phases of the reservation of one order."""

    NEW = "NEW"
    RESERVING = "RESERVING"
    RESERVED = "RESERVED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"
    SHIPPING = "SHIPPING"
    SHIPPED = "SHIPPED"
    VOIDED = "VOIDED"


class Reservation(Struct, frozen=True):
    """One order's reservation. ``items`` are as ordered; ``wanted`` is their quantity by product.

    ``answers`` holds the latest answer about each product, one row each: an answer costs the same in an order of two
    thousand products as in an order of one. ``reserved`` counts the products that were ever held, ``gone`` those that
    were released or shipped.
    """

    phase: Phase = Phase.NEW
    user_id: str = ""
    contact: Contact | None = None
    items: tuple[Item, ...] = ()
    wanted: dict[str, int] = field(default_factory=dict)
    answers: Table[Answer] = field(default_factory=Table)
    reserved: int = 0
    gone: int = 0

    @property
    def all_gone(self) -> bool:
        """Every product was released or shipped: nothing is held any more, and nothing can be."""
        return self.gone == len(self.wanted)


Progress = ProductReserved | ProductRefused | ProductReleased | ProductShipped
Own = (
    ReservationStarted
    | InventoryReserved
    | InventoryFailed
    | ReleaseStarted
    | InventoryReleased
    | ShipmentStarted
    | InventoryShipped
    | ReservationVoided
    | Progress
)

_FINALITY = {Answer.RESERVED: 1, Answer.REFUSED: 1, Answer.RELEASED: 2, Answer.SHIPPED: 2}
"""A released or shipped product stays so: an answer changes a product only if its number here is larger."""


def evolve(reservation: Reservation, event: Own) -> Reservation:
    """Fold one event of the order half's own log."""
    match event:
        case ReservationStarted():
            return replace(
                reservation,
                phase=Phase.RESERVING,
                user_id=event.user_id,
                contact=event.contact,
                items=event.items,
                wanted=quantity_by_product(event.items),
            )
        case InventoryReserved():
            return replace(reservation, phase=Phase.RESERVED)
        case ReleaseStarted():
            return replace(reservation, phase=Phase.RELEASING)
        case InventoryReleased():
            return replace(reservation, phase=Phase.RELEASED)
        case ShipmentStarted():
            return replace(reservation, phase=Phase.SHIPPING)
        case InventoryShipped():
            return replace(reservation, phase=Phase.SHIPPED)
        case ReservationVoided():
            return replace(reservation, phase=Phase.VOIDED)
        case InventoryFailed():
            return reservation
        case ProductReserved():
            return answered(reservation, event.product_id, Answer.RESERVED)
        case ProductRefused():
            return answered(reservation, event.product_id, Answer.REFUSED)
        case ProductReleased():
            return answered(reservation, event.product_id, Answer.RELEASED)
        case ProductShipped():
            return answered(reservation, event.product_id, Answer.SHIPPED)
    assert_never(event)


def answered(reservation: Reservation, product_id: str, answer: Answer) -> Reservation:
    """The reservation with one product's answer, if the product is one of its own and the answer is news."""
    if product_id not in reservation.wanted:
        return reservation
    if not is_news(answer, reservation.answers.get(product_id)):
        return reservation
    return replace(
        reservation,
        answers=reservation.answers.put(product_id, answer),
        reserved=reservation.reserved + (answer is Answer.RESERVED),
        gone=reservation.gone + (answer in (Answer.RELEASED, Answer.SHIPPED)),
    )


def is_news(answer: Answer, known: Answer | None) -> bool:
    """Whether ``answer`` changes what is ``known`` of a product."""
    return known is None or _FINALITY[answer] > _FINALITY[known]
