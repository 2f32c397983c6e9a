"""The order half of inventory, pure: an order gets all its products or none.

    NEW ──OrderCreated──▶ RESERVING ──all RESERVED──▶ RESERVED ──OrderCompleted──▶ SHIPPING ──▶ SHIPPED
     │                        │ first REFUSED: InventoryFailed │
     │                        ▼ OrderFailed, OrderCancelled    ▼ OrderFailed, OrderCancelled
     │                     RELEASING ◀─────────────────────────┘
     │                        └──all released──▶ RELEASED
     └──OrderFailed, OrderCancelled──▶ VOIDED

It sends one command a product to the stock half, which decides them in the order they were sent, and moves
on by its answers. Of a large order no more than ``wave`` commands are under way at a time: each product that is done
lets the next one be asked for, so that small orders wait behind few commands of a large one.

A release goes to *every* product, whatever is known of it: one whose reservation is still
under way is answered RESERVED first and RELEASED after, and one that was refused, or never asked for, is released of
nothing. So an answer that comes late needs no action: it is recorded, and the release on its way covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice

from eventbus import Decider, Message, Mismatch, Poison
from schemas import (
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
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
from schemas.orders import inconsistency
from services.inventory.answers import Answer
from services.inventory.reservation_state import Phase, Progress, Reservation, evolve, is_news

__all__ = ["Phase", "Reservation", "decide", "evolve", "in_waves_of", "reservation_decider"]

WAVE = 50
"""Products of one order that are asked for at a time. Never raise it: how far an order under way has asked is not on
record but follows from this number. What the smaller number had left for later would never be asked for."""

Settled = OrderFailed | OrderCancelled
Input = OrderCreated | Settled | OrderCompleted | StockAnswered


def decide(message: Input, reservation: Reservation, wave: int) -> Sequence[Message]:
    """No events means this was answered before. Raises Mismatch for a forgery, Poison for what cannot be."""
    if isinstance(message, OrderCreated) and (wrong := inconsistency(message)):
        raise Mismatch(f"{wrong}: find out who sent it")
    match message, reservation.phase:
        case OrderCreated() as order, Phase.NEW:
            return start(order, wave)
        case OrderCreated(), _:
            return []

        case (OrderFailed() | OrderCancelled()) as settled, Phase.NEW:
            return [ReservationVoided(order_id=settled.order_id)]
        case (OrderFailed() | OrderCancelled()) as settled, (Phase.RESERVING | Phase.RESERVED):
            return release(settled.order_id, reservation, wave)
        case ((OrderFailed() | OrderCancelled()), (Phase.RELEASING | Phase.RELEASED | Phase.VOIDED)):
            return []

        case OrderCompleted() as completed, Phase.RESERVED:
            return ship(completed.order_id, reservation, wave)
        case OrderCompleted(), (Phase.SHIPPING | Phase.SHIPPED):
            return []

        case StockAnswered() as answer, _:
            return progress(answer, reservation, wave)
    raise Poison(
        f"{message.name} of order {message.key} contradicts its reservation, which is {reservation.phase}"
    )


def start(order: OrderCreated, wave: int) -> Sequence[Message]:
    """Ask for the first products, each once; an order of nothing has all it wants."""
    started = ReservationStarted(
        order_id=order.order_id, user_id=order.user_id, items=order.items, contact=order.contact
    )
    reserving = evolve(Reservation(), started)
    if not reserving.wanted:
        return [started, InventoryReserved(order_id=order.order_id, user_id=order.user_id, items=order.items)]
    return [started, *commands(order.order_id, reserving, 0, wave)]


def release(order_id: str, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Give every product back; where nothing is held any more, the release is over as it starts."""
    started = ReleaseStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryReleased(order_id=order_id)]
    return [started, *commands(order_id, evolve(reservation, started), 0, wave)]


def ship(order_id: str, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Let every held product leave."""
    started = ShipmentStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryShipped(order_id=order_id)]
    return [started, *commands(order_id, evolve(reservation, started), 0, wave)]


def commands(order_id: str, reservation: Reservation, already: int, wave: int) -> Sequence[Message]:
    """What the stock half is asked in this phase, for the products after the first ``already`` ones.

    As many are asked for as are done, and ``wave`` more. At least ``wave`` of them are then unanswered, or else all
    are asked for, so there is always an answer on its way that asks for the next.
    """
    products = islice(reservation.wanted.items(), already, done(reservation) + wave)
    match reservation.phase:
        case Phase.RESERVING:
            return [ReserveStock(product_id=p, order_id=order_id, quantity=q) for p, q in products]
        case Phase.RELEASING:
            return [ReleaseStock(product_id=p, order_id=order_id) for p, _ in products]
        case Phase.SHIPPING:
            return [ShipStock(product_id=p, order_id=order_id) for p, _ in products]
    return []


def done(reservation: Reservation) -> int:
    """How many products have come as far as this phase takes them."""
    return reservation.reserved if reservation.phase is Phase.RESERVING else reservation.gone


def progress(answer: StockAnswered, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Record what became of one product, and what that means for the order."""
    event = recorded(answer)
    if answer.product_id not in reservation.wanted:
        # Stock that someone reserved under this id past the order: on record, of no consequence.
        return [event]
    if wrong := contradiction(answer, reservation):
        raise Mismatch(f"StockAnswered of order {answer.order_id!r} {wrong}: find out who sent it")
    if not is_news(Answer(answer.outcome), reservation.answers.get(answer.product_id)):
        return []
    after = evolve(reservation, event)
    order_id = answer.order_id
    match after.phase, event:
        case Phase.RESERVING, (ProductRefused() | ProductReleased()):
            return [event, failed(answer, reservation), *release(order_id, after, wave)]
        case Phase.RESERVING, ProductReserved() if after.reserved == len(after.wanted):
            return [event, InventoryReserved(order_id=order_id, user_id=after.user_id, items=after.items)]
        case Phase.RELEASING, _ if after.all_gone:
            return [event, InventoryReleased(order_id=order_id)]
        case Phase.SHIPPING, _ if after.all_gone:
            return [event, InventoryShipped(order_id=order_id)]
    return [event, *commands(order_id, after, done(reservation) + wave, wave)]


def contradiction(answer: StockAnswered, reservation: Reservation) -> str | None:
    """How an answer about a product of the order contradicts what was asked; None if it does not.

    Whatever a shelf gives up while an order is released or shipped is gone, also what somebody had reserved under its
    id past the order. A release or a shipment of nothing is answered with quantity 0.
    """
    wanted, told = reservation.wanted[answer.product_id], answer.quantity
    match answer.outcome, reservation.phase:
        case ((Answer.RELEASED | Answer.SHIPPED), (Phase.RELEASING | Phase.SHIPPING)):
            return None
        case (Answer.RESERVED, _) | (Answer.REFUSED, Phase.RESERVING) | (Answer.SHIPPED, _):
            agrees = told == wanted
        case _:
            agrees = told in (0, wanted)
    said = f"{answer.outcome[:20]} with {told} of product {answer.product_id[:100]!r}"
    return None if agrees else f"is {said}, but {wanted} were asked for"


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


def in_waves_of(wave: int) -> Decider[Reservation]:
    """The decider of ``inventory.events`` that has ``wave`` commands of an order under way at most."""
    return Decider(
        log="inventory.events",
        inputs=(OrderCreated, OrderFailed, OrderCancelled, OrderCompleted, StockAnswered),
        initial=Reservation(),
        decide=partial(decide, wave=wave),
        evolve=evolve,
        fold_version=1,
        settling=(OrderFailed, OrderCancelled),
    )


reservation_decider = in_waves_of(WAVE)
