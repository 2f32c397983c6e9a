"""The order half of inventory, pure: an order gets all its products or none.

    NEW ──OrderCreated──▶ RESERVING ──all RESERVED──▶ RESERVED ──OrderCompleted──▶ SHIPPING ──▶ SHIPPED
     │                        │ first REFUSED: InventoryFailed │
     │                        ▼ OrderFailed, OrderCancelled    ▼ OrderFailed, OrderCancelled
     │                     RELEASING ◀─────────────────────────┘
     │                        └──all released──▶ RELEASED
     └──OrderFailed, OrderCancelled──▶ VOIDED

It sends one command a product to the stock half, which decides them in the order they were sent, and moves
on by its answers. A release goes to *every* product, whatever is known of it: one whose reservation is still
under way is answered RESERVED first and RELEASED after, and one that was refused is released of nothing. So
an answer that comes late needs no action: it is recorded, and the release on its way covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import assert_never

from eventbus import Decider, Message, Poison, Table
from schemas import (
    Contact,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderFailed,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ProductShipped,
    ReleaseStarted,
    ReleaseStock,
    ReservationStarted,
    ReservationVoided,
    ReserveStock,
    ShipmentStarted,
    ShipStock,
    StockAnswered,
)
from services.inventory.answers import Answer


class Phase(StrEnum):
    """How far the reservation of one order has come."""

    NEW = "NEW"
    RESERVING = "RESERVING"
    RESERVED = "RESERVED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"
    SHIPPING = "SHIPPING"
    SHIPPED = "SHIPPED"
    VOIDED = "VOIDED"


@dataclass(frozen=True)
class Reservation:
    """One order's reservation. ``items`` are as ordered; ``wanted`` is their quantity by product.

    ``answers`` has the last word on each product, so that an answer costs the same in an order of two
    thousand products as in an order of one. ``reserved`` and ``gone`` count products: those ever held, and
    those given back or shipped.
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
        """Nothing is held any more, nor can it come to be held."""
        return self.gone == len(self.wanted)


Settled = OrderFailed | OrderCancelled
Input = OrderCreated | Settled | OrderCompleted | StockAnswered
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
"""An answer is news if it is more final than what is known: what was given back or shipped stays so."""


def decide(message: Input, reservation: Reservation) -> Sequence[Message]:
    """No events means this was answered before. Raises Poison for what cannot come to pass."""
    match message, reservation.phase:
        case OrderCreated() as order, Phase.NEW:
            return start(order)
        case OrderCreated(), _:
            return []

        case (OrderFailed() | OrderCancelled()) as settled, Phase.NEW:
            return [ReservationVoided(order_id=settled.order_id)]
        case (OrderFailed() | OrderCancelled()) as settled, (Phase.RESERVING | Phase.RESERVED):
            return release(settled.order_id, reservation)
        case ((OrderFailed() | OrderCancelled()), (Phase.RELEASING | Phase.RELEASED | Phase.VOIDED)):
            return []

        case OrderCompleted() as completed, Phase.RESERVED:
            return ship(completed.order_id, reservation)
        case OrderCompleted(), (Phase.SHIPPING | Phase.SHIPPED):
            return []

        case StockAnswered() as answer, _:
            return progress(answer, reservation)
    raise Poison(
        f"{message.name} of order {message.key} contradicts its reservation, which is {reservation.phase}"
    )


def start(order: OrderCreated) -> Sequence[Message]:
    """Ask for every product, once each; an order of nothing has all it wants."""
    started = ReservationStarted(
        order_id=order.order_id, user_id=order.user_id, items=order.items, contact=order.contact
    )
    wanted = merged(order.items)
    if not wanted:
        return [started, InventoryReserved(order_id=order.order_id, user_id=order.user_id, items=order.items)]
    return [
        started,
        *(ReserveStock(product_id=p, order_id=order.order_id, quantity=q) for p, q in wanted.items()),
    ]


def release(order_id: str, reservation: Reservation) -> Sequence[Message]:
    """Give every product back; where nothing is held any more, the release is over as it starts."""
    started = ReleaseStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryReleased(order_id=order_id)]
    return [started, *(ReleaseStock(product_id=p, order_id=order_id) for p in reservation.wanted)]


def ship(order_id: str, reservation: Reservation) -> Sequence[Message]:
    """Let every held product leave."""
    started = ShipmentStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryShipped(order_id=order_id)]
    return [started, *(ShipStock(product_id=p, order_id=order_id) for p in reservation.wanted)]


def progress(answer: StockAnswered, reservation: Reservation) -> Sequence[Message]:
    """Record what became of one product, and what that means for the order."""
    event = recorded(answer)
    if answer.product_id not in reservation.wanted:
        return [
            event
        ]  # Stock that someone reserved under this id past the order: on record, of no consequence.
    if not is_news(Answer(answer.outcome), reservation.answers.get(answer.product_id)):
        return []
    after = evolve(reservation, event)
    order_id = answer.order_id
    match after.phase, event:
        case Phase.RESERVING, (ProductRefused() | ProductReleased()):
            return [event, failed(answer, reservation), *release(order_id, after)]
        case Phase.RESERVING, ProductReserved() if after.reserved == len(after.wanted):
            return [event, InventoryReserved(order_id=order_id, user_id=after.user_id, items=after.items)]
        case Phase.RELEASING, _ if after.all_gone:
            return [event, InventoryReleased(order_id=order_id)]
        case Phase.SHIPPING, _ if after.all_gone:
            return [event, InventoryShipped(order_id=order_id)]
    return [event]


def recorded(answer: StockAnswered) -> Progress:
    """The progress event an answer leaves."""
    order_id, product_id, quantity = answer.order_id, answer.product_id, answer.quantity
    match answer.outcome:
        case Answer.RESERVED:
            return ProductReserved(order_id=order_id, product_id=product_id, quantity=quantity)
        case Answer.REFUSED:
            return ProductRefused(
                order_id=order_id,
                product_id=product_id,
                quantity=quantity,
                available_qty=answer.available_qty,
            )
        case Answer.RELEASED:
            return ProductReleased(order_id=order_id, product_id=product_id, quantity=quantity)
        case Answer.SHIPPED:
            return ProductShipped(order_id=order_id, product_id=product_id, quantity=quantity)
    raise Poison(
        f"StockAnswered of order {order_id}, product {product_id}: unknown outcome {answer.outcome!r}"
    )


def failed(answer: StockAnswered, reservation: Reservation) -> InventoryFailed:
    """The order comes to nothing for want of this product: refused, or taken from it by hand."""
    return InventoryFailed(
        order_id=answer.order_id,
        user_id=reservation.user_id,
        product_id=answer.product_id,
        quantity=reservation.wanted[answer.product_id],
        available_qty=answer.available_qty,
        reason="Insufficient inventory",
        items=reservation.items,
        contact=reservation.contact,
    )


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
                wanted=merged(event.items),
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
    """The reservation with one product's answer, if that is one of its products and the answer is news."""
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
    """Whether ``answer`` takes a product further than what is ``known`` of it."""
    return known is None or _FINALITY[answer] > _FINALITY[known]


def merged(items: Iterable[Item]) -> dict[str, int]:
    """The quantity by product, in the order the products first appear: real invoices repeat products."""
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item.product_id] = wanted.get(item.product_id, 0) + item.quantity
    return wanted


reservation_decider: Decider[Reservation] = Decider(
    log="inventory.events",
    inputs=(OrderCreated, OrderFailed, OrderCancelled, OrderCompleted, StockAnswered),
    initial=Reservation(),
    decide=decide,
    evolve=evolve,
    settling=(OrderFailed, OrderCancelled),
)
