"""The rules of an order: what each command and each report of payment or inventory leads to.

A decided message leads to at least one event. There are two exceptions: the same report was recorded before, or a
command changed nothing and ``REPEATS`` events of the order already say the same of earlier commands.

A report that contradicts its order (another amount, other items, or no such order: payment and inventory start from
OrderCreated) is not possible under these rules. It is not recorded, since it would pay the order. It is not dropped,
since it may be about real money. It becomes a dead letter, where a person sees it. No message waits for it, and the
genuine report is applied when it comes.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from eventbus import DeadlinePassed, Decider, Message, Mismatch, Poison
from schemas import (
    CancelOrder,
    CancelRefused,
    CommandRepeated,
    CompleteOrder,
    CompleteRefused,
    CreateOrder,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    OrderPaid,
    OrderPaymentFailed,
    OrderPaymentVoided,
    OrderRefunded,
    OrderRefused,
    OrderReleased,
    OrderReservationFailed,
    OrderReserved,
    OrderShipped,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentVoided,
)
from schemas.orders import total_of
from services.order.contradiction import contradiction
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

REPORTS: tuple[type[Message], ...] = (
    PaymentSucceeded,
    PaymentFailed,
    PaymentRefunded,
    PaymentVoided,
    InventoryReserved,
    InventoryFailed,
    InventoryReleased,
    InventoryShipped,
)


def order_decider(deadline: timedelta, limits: Limits | None = None) -> Decider[Order]:
    """The decider that writes ``order.events``. ``deadline``: for orders that name none themselves."""
    return Decider(
        log="order.events",
        inputs=(CreateOrder, CancelOrder, CompleteOrder, *REPORTS),
        initial=Order(),
        decide=partial(decide, deadline=deadline, limits=limits or Limits()),
        evolve=evolve,
        fold_version=1,
        projection=Timeline(),
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
            return _report(message, order)


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


def _report(report: Message, order: Order) -> list[Message]:
    """Record what payment or inventory reported, and settle the order if that decides its end."""
    if order.status is Status.NEW:
        raise Mismatch(
            f"{report.name} for order {report.key!r}, which was never created: find out who sent it"
        )
    if wrong := contradiction(report, order):
        raise Mismatch(f"{report.name} of order {report.key!r} {wrong}: find out who sent it")
    fact = _fact(report)
    if fact.name in order.facts:
        return []
    if order.status not in OPEN:
        return [fact]
    return [fact, *_settle(report, evolve(order, fact))]


def _fact(report: Message) -> Message:
    match report:
        case PaymentSucceeded(order_id=key):
            return OrderPaid(order_id=key, amount=report.amount, currency=report.currency)
        case PaymentFailed(order_id=key):
            return OrderPaymentFailed(order_id=key, reason=report.reason)
        case PaymentRefunded(order_id=key):
            return OrderRefunded(order_id=key, amount=report.amount, currency=report.currency)
        case PaymentVoided(order_id=key):
            return OrderPaymentVoided(order_id=key)
        case InventoryReserved(order_id=key):
            return OrderReserved(order_id=key)
        case InventoryFailed(order_id=key):
            return OrderReservationFailed(
                order_id=key,
                reason=report.reason,
                product_id=report.product_id,
                available_qty=report.available_qty,
            )
        case InventoryReleased(order_id=key):
            return OrderReleased(order_id=key)
        case InventoryShipped(order_id=key):
            return OrderShipped(order_id=key)
    raise Poison(f"{report.name} is no message that the order service handles")


def _settle(report: Message, order: Order) -> list[Message]:
    """The end of an open order: at once on the first bad report, else when both branches are good."""
    match report:
        case PaymentFailed():
            return [_failed(report, order, "PAYMENT", report.reason)]
        case InventoryFailed():
            return [_failed(report, order, "INVENTORY", report.reason)]
        case PaymentVoided():
            return [_failed(report, order, "PAYMENT", report.reason)]
        case PaymentRefunded():
            return [_failed(report, order, "PAYMENT", "the payment was given back")]
        case InventoryReleased():
            return [_failed(report, order, "INVENTORY", "the reservation was given back")]
    held = order.inventory in (Inventory.RESERVED, Inventory.SHIPPED)
    if order.payment is Payment.PAID and held:
        return [
            OrderConfirmed(
                order_id=report.key,
                user_id=order.user_id,
                total_amount=order.total_amount,
                currency=order.currency,
                contact=order.contact,
            )
        ]
    return []


def _failed(report: Message, order: Order, stage: str, reason: str) -> OrderFailed:
    return OrderFailed(
        order_id=report.key, user_id=order.user_id, stage=stage, reason=reason, contact=order.contact
    )
