"""Payment's rules, pure: which message leads to a charge, a refund, or nothing.

             OrderCreated ──▶ PAID ──────▶ REFUNDED     the order failed or was cancelled after it was paid
    NEW ───▶ OrderCreated ──▶ FAILED                    the gateway declined
             OrderFailed, OrderCancelled ──▶ VOIDED     settled before it was charged: never charged

A charge without an answer leaves the payment *in doubt*. Until its result is known, OrderCreated waits for another
attempt. While the order is open, it repeats the charge with the same key. After that, it withdraws the charge. A
VOIDED payment is in doubt too: its OrderCreated was parked, perhaps after a charge that a process died on.

Money is in minor units of its currency. Nothing is charged or refunded for a total of zero. An order that names no
price (version 1 of OrderCreated) is not free: its payment fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from eventbus import Event, Listing, Mismatch, Outcome, Reactor, Request, Row
from schemas import (
    ChargeUnresolved,
    ChargeWithdrawn,
    OrderCancelled,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentVoided,
)
from schemas.money import money_text
from schemas.orders import inconsistency, is_priced

NO_PRICE = "the order names no price"
"""Why the payment of an order of version 1 fails."""


class Status(StrEnum):
    """The status of the payment of one order."""

    NEW = "NEW"
    PAID = "PAID"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"


class Payment(Struct, frozen=True):
    """The payment of one order, and what a refund needs.

    ``user_id`` is empty until the payment succeeded or failed. ``created_at``: ms since epoch, of its first event.
    """

    status: Status = Status.NEW
    amount: int = 0
    currency: str = ""
    charge_id: str | None = None
    in_doubt: bool = False
    user_id: str = ""
    created_at: int = 0


@dataclass(frozen=True)
class Charge(Request):
    """Take the order's total from its payment method."""

    order: OrderCreated


@dataclass(frozen=True)
class Refund(Request):
    """Refund what was charged for an order."""

    order_id: str
    amount: int
    currency: str
    charge_id: str | None


@dataclass(frozen=True)
class Withdraw(Request):
    """Find out the result of a charge in doubt. Prevent it if it has not happened, refund it if it has."""

    order: OrderCreated


@dataclass(frozen=True)
class Withdrawn(Outcome):
    """The charge is no longer in doubt. ``charge_id`` and ``refund_id`` are None if it never moved money."""

    order: OrderCreated
    charge_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class Charged(Outcome):
    """The gateway took the money."""

    order: OrderCreated
    charge_id: str


@dataclass(frozen=True)
class Declined(Outcome):
    """The gateway refused the charge for good."""

    order: OrderCreated
    reason: str


@dataclass(frozen=True)
class Refunded(Outcome):
    """The gateway gave the money back."""

    refund: Refund
    refund_id: str


Input = OrderCreated | OrderFailed | OrderCancelled
Answer = Charged | Declined | Refunded | Withdrawn


def decide(message: Input | Answer, payment: Payment) -> Sequence[Event | Request]:
    """No events means there is nothing left to do: a repeat is not an error. Raises Mismatch for a forged order."""
    if isinstance(message, OrderCreated):
        check(message, payment)
    match message, payment.status:
        case OrderCreated() as order, Status.NEW if not is_priced(order):
            return [failed(order, NO_PRICE)]
        case OrderCreated(total_amount=0) as order, Status.NEW:
            return [succeeded(order, charge_id=None)]
        case OrderCreated() as order, Status.NEW:
            return [Charge(order)]
        case Charged(order, charge_id), Status.NEW:
            return [succeeded(order, charge_id)]
        case Declined(order, reason), Status.NEW:
            return [failed(order, reason)]

        case OrderCreated() as order, (Status.VOIDED | Status.FAILED) if (
            payment.in_doubt and order.total_amount
        ):
            return [Withdraw(order)]
        case Withdrawn(order, None), _:
            return [ChargeWithdrawn(order_id=order.order_id)]
        case Withdrawn(order, str(charge_id), refund_id), _:
            refund = Refund(order.order_id, order.total_amount, order.currency, charge_id)
            return [succeeded(order, charge_id), refunded(refund, refund_id)]

        case (OrderFailed() | OrderCancelled()) as settled, Status.NEW:
            return [PaymentVoided(order_id=settled.order_id, reason=f"{settled.name} came before the charge")]
        case (OrderFailed() | OrderCancelled()) as settled, Status.PAID:
            refund = Refund(settled.order_id, payment.amount, payment.currency, payment.charge_id)
            return [refund] if payment.amount else [refunded(refund, refund_id=None)]
        case Refunded(refund, refund_id), Status.PAID:
            return [refunded(refund, refund_id)]

        case OrderCreated() | OrderFailed() | OrderCancelled(), _:
            return []
    # There is one call at a time for an order, so its answer comes in the status in which it was asked.
    raise ValueError(f"{type(message).__name__} answers nothing that a {payment.status} payment asked for")


def check(order: OrderCreated, payment: Payment) -> None:
    """Raises Mismatch for an order that contradicts itself, or the one that was paid or declined before."""
    if wrong := inconsistency(order):
        raise Mismatch(f"{wrong}: find out who sent it")
    if payment.amount and (order.total_amount, order.currency) != (payment.amount, payment.currency):
        this, that = (
            money_text(order.total_amount, order.currency),
            money_text(payment.amount, payment.currency),
        )
        raise Mismatch(
            f"OrderCreated of order {order.order_id!r} is over {this}, but the payment was over {that}"
        )


def succeeded(order: OrderCreated, charge_id: str | None) -> PaymentSucceeded:
    return PaymentSucceeded(
        order_id=order.order_id,
        user_id=order.user_id,
        amount=order.total_amount,
        currency=order.currency,
        charge_id=charge_id,
    )


def failed(order: OrderCreated, reason: str) -> PaymentFailed:
    return PaymentFailed(
        order_id=order.order_id,
        user_id=order.user_id,
        product_id=order.product_id,
        quantity=order.quantity,
        reason=reason,
        items=order.items,
        amount=order.total_amount,
        currency=order.currency,
        contact=order.contact,
    )


def refunded(refund: Refund, refund_id: str | None) -> PaymentRefunded:
    return PaymentRefunded(
        order_id=refund.order_id, amount=refund.amount, currency=refund.currency, refund_id=refund_id
    )


def record_doubt(request: Request, payment: Payment, error: Exception) -> Sequence[Event]:
    """A charge without an answer is recorded once."""
    if isinstance(request, Charge) and not payment.in_doubt:
        return [ChargeUnresolved(order_id=request.order.order_id)]
    return []


def give_up(request: Request, payment: Payment, reason: str) -> Sequence[Event]:
    """After the last attempt of a charge the payment fails. The charge stays in doubt until it is withdrawn."""
    if isinstance(request, Charge) and payment.status is Status.NEW:
        return [failed(request.order, reason), ChargeUnresolved(order_id=request.order.order_id)]
    return []


Own = PaymentSucceeded | PaymentFailed | PaymentRefunded | PaymentVoided | ChargeUnresolved | ChargeWithdrawn


def evolve(payment: Payment, event: Own) -> Payment:
    """Fold one event of payment's own log."""
    payment = replace(payment, created_at=payment.created_at or event.timestamp)
    match event:
        case PaymentSucceeded():
            return _charged(payment, event, Status.PAID, event.charge_id)
        case PaymentFailed():
            return _charged(payment, event, Status.FAILED, None)
        case PaymentRefunded():
            return replace(payment, status=Status.REFUNDED)
        case PaymentVoided():
            return replace(payment, status=Status.VOIDED, in_doubt=True)
        case ChargeUnresolved():
            return replace(payment, in_doubt=True)
        case ChargeWithdrawn():
            return replace(payment, in_doubt=False)
    assert_never(event)


def _charged(
    payment: Payment, event: PaymentSucceeded | PaymentFailed, status: Status, charge_id: str | None
) -> Payment:
    return Payment(
        status,
        event.amount,
        event.currency,
        charge_id,
        user_id=event.user_id,
        created_at=payment.created_at,
    )


PAYMENTS: Listing[Payment] = Listing(
    table="payment_list",
    columns={"user_id": (), "status": [status.value for status in Status]},
    row=lambda payment: Row(payment.created_at, (payment.user_id, payment.status.value)),
)


def payment_reactor(
    call: Callable[[Request], Awaitable[Outcome]],
    on_retries_exhausted: Callable[[Request, Payment, str], Sequence[Event]] | None = None,
) -> Reactor[Payment]:
    """The reactor that writes ``payment.events``. ``call`` answers a Charge, a Refund or a Withdraw."""
    return Reactor(
        log="payment.events",
        inputs=(OrderCreated, OrderFailed, OrderCancelled),
        initial=Payment(),
        decide=decide,
        evolve=evolve,
        fold_version=4,
        listing=PAYMENTS,
        settling=(OrderFailed, OrderCancelled),
        call=call,
        on_call_failed=record_doubt,
        on_retries_exhausted=on_retries_exhausted,
    )
