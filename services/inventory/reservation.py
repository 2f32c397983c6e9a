"""The order half of inventory, pure: an order gets all its products or none.

    NEW ──OrderCreated──▶ RESERVING ──all RESERVED──▶ RESERVED ──OrderCompleted──▶ SHIPPING ──▶ SHIPPED
     │                        │ first REFUSED: InventoryFailed │
     │                        ▼ OrderFailed, OrderCancelled    ▼ OrderFailed, OrderCancelled
     │                     RELEASING ◀─────────────────────────┘
     │                        └──all released──▶ RELEASED
     └──OrderFailed, OrderCancelled──▶ VOIDED

The order half sends the stock half one command for each product. The stock half decides them in the order they were
sent, and its answers move the reservation on. At most ``wave`` commands of one order are unanswered at a time: each
answer lets the next product be asked for. So small orders wait behind few commands of a large one.

A release is sent for *every* product, whatever is known of it. A product whose reservation is still unanswered is
answered RESERVED first and RELEASED after. One that was refused, or never asked for, is released with quantity 0. So
a late answer needs no action: it is recorded, and the release that was already sent covers it.
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

__all__ = ["Phase", "Reservation", "decide", "evolve", "reservation_decider"]

WAVE = 50
"""Products of one order that are asked for at a time. Never raise it. How many products an open order has asked for
is not recorded: it is computed from this number. A larger one would skip products that were not asked for yet."""

Settled = OrderFailed | OrderCancelled
Input = OrderCreated | Settled | OrderCompleted | StockAnswered


def decide(message: Input, reservation: Reservation, wave: int) -> Sequence[Message]:
    """No events means that this was answered before. Raises Mismatch for a forgery, Poison for the impossible."""
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
    """Ask for the first products, each once. An order without products is reserved at once."""
    started = ReservationStarted(
        order_id=order.order_id, user_id=order.user_id, items=order.items, contact=order.contact
    )
    reserving = evolve(Reservation(), started)
    if not reserving.wanted:
        return [started, InventoryReserved(order_id=order.order_id, user_id=order.user_id, items=order.items)]
    return [started, *commands(order.order_id, reserving, 0, wave)]


def release(order_id: str, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Release every product. If nothing is held any more, the release is complete at once."""
    started = ReleaseStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryReleased(order_id=order_id)]
    return [started, *commands(order_id, evolve(reservation, started), 0, wave)]


def ship(order_id: str, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Ship every product that is held."""
    started = ShipmentStarted(order_id=order_id)
    if reservation.all_gone:
        return [started, InventoryShipped(order_id=order_id)]
    return [started, *commands(order_id, evolve(reservation, started), 0, wave)]


def commands(order_id: str, reservation: Reservation, already: int, wave: int) -> Sequence[Message]:
    """The commands of this phase for the products after the first ``already`` ones.

    The number of products asked for is the number of those done plus ``wave``. So ``wave`` answers are outstanding,
    unless all products were asked for: there is always an answer to come that asks for the next product.
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
    """How many products have reached the end of this phase."""
    return reservation.reserved if reservation.phase is Phase.RESERVING else reservation.gone


def progress(answer: StockAnswered, reservation: Reservation, wave: int) -> Sequence[Message]:
    """Record the answer about one product, and what follows for the order."""
    event = recorded(answer)
    if answer.product_id not in reservation.wanted:
        # Somebody reserved stock under this order's id, without the order. It is recorded and changes nothing.
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

    While an order is released or shipped any quantity is accepted: somebody may have reserved stock under its id,
    without the order. A release or a shipment of nothing is answered with quantity 0.
    """
    wanted, quantity = reservation.wanted[answer.product_id], answer.quantity
    match answer.outcome, reservation.phase:
        case ((Answer.RELEASED | Answer.SHIPPED), (Phase.RELEASING | Phase.SHIPPING)):
            return None
        case (Answer.RESERVED, _) | (Answer.REFUSED, Phase.RESERVING) | (Answer.SHIPPED, _):
            agrees = quantity == wanted
        case _:
            agrees = quantity in (0, wanted)
    if agrees:
        return None
    product = f"product {answer.product_id[:100]!r}"
    return f"is {answer.outcome[:20]} with {quantity} of {product}, but {wanted} were asked for"


def recorded(answer: StockAnswered) -> Progress:
    """The event that records an answer."""
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
    """The order fails because this product was refused, or was released by hand."""
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


def reservation_decider(wave: int = WAVE) -> Decider[Reservation]:
    """The decider that writes ``inventory.events``. It waits for ``wave`` answers about one order at most."""
    return Decider(
        log="inventory.events",
        inputs=(OrderCreated, OrderFailed, OrderCancelled, OrderCompleted, StockAnswered),
        sends=(ReserveStock, ReleaseStock, ShipStock),
        initial=Reservation(),
        decide=partial(decide, wave=wave),
        evolve=evolve,
        fold_version=2,
        settling=(OrderFailed, OrderCancelled),
    )
