"""The rules of an order: what each command and each report of payment or inventory leads to.

A decided message leads to at least one event. There are two exceptions: the same report was recorded before, or a
command changed nothing and ``REPEATS`` events of the order already say the same of earlier commands.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from eventbus import DeadlinePassed, Decider, Message
from schemas import (
    CancelOrder,
    CancelRefused,
    CommandRepeated,
    CompleteOrder,
    CompleteRefused,
    CreateOrder,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderFailed,
    OrderRefused,
)
from schemas.orders import total_of
from services.order.listing import ORDERS
from services.order.reports import REPORTS, record_report
from services.order.rules import (
    REPEATS,
    Limits,
    broken_rule,
    cancel_obstacle,
    complete_obstacle,
)
from services.order.state import OPEN, Inventory, Order, Payment, Status, evolve
from services.order.timeline import Timeline

__all__ = ["Inventory", "Order", "Payment", "Status", "decide", "evolve", "order_decider"]


def order_decider(deadline: timedelta, limits: Limits | None = None) -> Decider[Order]:
    """The decider that writes ``order.events``. ``deadline``: for orders that name none themselves."""
    return Decider(
        log="order.events",
        inputs=(CreateOrder, CancelOrder, CompleteOrder, *REPORTS),
        initial=Order(),
        decide=partial(decide, deadline=deadline, limits=limits or Limits()),
        evolve=evolve,
        fold_version=6,
        remembered_requests=64,
        projection=Timeline(),
        listing=ORDERS,
        settling=(CancelOrder,),
        deadline=deadline_of,
    )


def decide(
    message: Message | DeadlinePassed, order: Order, deadline: timedelta, limits: Limits
) -> list[Message]:
    """What ``message`` leads to. Raises Mismatch for a report that contradicts its order."""
    match message:
        case CreateOrder():
            return _unless_repeated(_create(message, order, deadline, limits), order)
        case CancelOrder() | CompleteOrder() if _is_outdated(message, order):
            return []
        case CancelOrder():
            return _unless_repeated(_cancel(message, order), order)
        case CompleteOrder():
            return _unless_repeated(_complete(message, order), order)
        case DeadlinePassed():
            return _expire(message, order)
        case _:
            return record_report(message, order)


def _create(command: CreateOrder, order: Order, deadline: timedelta, limits: Limits) -> Message:
    if order.status is not Status.NEW:
        return CommandRepeated(
            order_id=command.order_id, command=command.name, identical=_asks_for(command, order)
        )
    if broken := broken_rule(command, limits):
        return OrderRefused(
            order_id=command.order_id,
            user_id=command.user_id,
            reason=broken.reason,
            field=broken.field,
            fingerprint=command.fingerprint,
        )
    only = command.items[0] if len(command.items) == 1 else None
    return OrderCreated(
        order_id=command.order_id,
        user_id=command.user_id,
        product_id=only.product_id if only else None,
        quantity=only.quantity if only else None,
        items=command.items,
        currency=command.currency,
        total_amount=total_of(command.items),
        payment_method=command.payment_method,
        contact=command.contact,
        fingerprint=command.fingerprint,
        deadline_at=_deadline(command, deadline),
    )


def _deadline(command: CreateOrder, deadline: timedelta) -> int | None:
    """In ms since epoch. A command without a time gets no deadline: it would have passed in 1970."""
    if command.deadline_at is not None or command.timestamp == 0:
        return command.deadline_at
    return command.timestamp + round(deadline.total_seconds() * 1000)


def _asks_for(command: CreateOrder, order: Order) -> bool:
    """Whether the command is the one that led to this order. Other systems may send no fingerprint."""
    if command.fingerprint or order.fingerprint:
        return command.fingerprint == order.fingerprint
    return (command.user_id, command.items, command.currency, command.payment_method, command.contact) == (
        order.user_id,
        order.items,
        order.currency,
        order.payment_method,
        order.contact,
    )


def _cancel(command: CancelOrder, order: Order) -> Message:
    if reason := cancel_obstacle(order.status):
        return CancelRefused(order_id=command.order_id, status=order.status.value, reason=reason)
    if order.status is Status.CANCELLED:
        return CommandRepeated(order_id=command.order_id, command=command.name)
    return OrderCancelled(
        order_id=command.order_id, user_id=order.user_id, reason=command.reason, contact=order.contact
    )


def _complete(command: CompleteOrder, order: Order) -> Message:
    if reason := complete_obstacle(order.status):
        return CompleteRefused(order_id=command.order_id, status=order.status.value, reason=reason)
    if order.status is Status.COMPLETED:
        return CommandRepeated(order_id=command.order_id, command=command.name)
    return OrderCompleted(order_id=command.order_id, user_id=order.user_id, contact=order.contact)


def _is_outdated(command: CancelOrder | CompleteOrder, order: Order) -> bool:
    """Whether a command is older than what allows it now, for an order that records no more repeats.

    Such a command may have been refused before without an event. When offsets are reset and it is read again, it must
    not be carried out. A command without a time counts as old.
    """
    return order.repeats >= REPEATS and command.timestamp < order.allowed_at


def _unless_repeated(event: Message, order: Order) -> list[Message]:
    """``event``; but nothing if it only records that a command changed nothing, and there are enough such events."""
    changes_nothing = isinstance(event, CommandRepeated | CancelRefused | CompleteRefused)
    return [] if changes_nothing and order.repeats >= REPEATS else [event]


def _expire(passed: DeadlinePassed, order: Order) -> list[Message]:
    """An order that is not settled by its deadline fails; payment and inventory undo what they did for it."""
    if order.status not in OPEN:
        return []
    return [
        OrderFailed(
            order_id=passed.key,
            user_id=order.user_id,
            stage="EXPIRED",
            reason="it was not settled by its deadline",
            contact=order.contact,
        )
    ]


def deadline_of(order: Order) -> int | None:
    """When (ms since epoch) an open order expires."""
    return order.deadline_at if order.status in OPEN else None
