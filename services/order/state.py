"""What an order is: its state, and how its own events fold into it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from eventbus import Message
from schemas import (
    CancelRefused,
    CommandRepeated,
    CompleteRefused,
    Contact,
    Item,
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
)
from schemas.money import NO_CURRENCY


class Status(StrEnum):
    """Where an order stands. NEW: no CreateOrder was decided yet, so to a client there is no such order."""

    NEW = "NEW"
    CREATED = "CREATED"
    PROCESSING = "PROCESSING"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN = (Status.CREATED, Status.PROCESSING)
"""The order exists and is not settled: payment or inventory may still decide how it ends."""


class Payment(StrEnum):
    """What payment has reported."""

    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"


class Inventory(StrEnum):
    """What inventory has reported."""

    PENDING = "PENDING"
    RESERVED = "RESERVED"
    FAILED = "FAILED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"


class Failure(Struct, frozen=True):
    """Why an order failed: at VALIDATION, PAYMENT, INVENTORY or EXPIRED. ``field``: what broke a rule."""

    stage: str
    reason: str
    field: str | None = None


class Order(Struct, frozen=True):
    """One order. Amounts are minor units of ``currency``, times ms since epoch (UTC). An order of version 1 has no
    currency: what it costs is not known.

    ``facts`` are the names of the events that record what payment and inventory reported, each once; where
    money and goods stand follows from *which* facts there are, not from the order in which they came.
    ``repeats`` counts the events that only record that a command changed nothing. ``allowed_at`` is when the order
    last began to allow a command that it refused before: when it was created, then when it was confirmed.
    """

    status: Status = Status.NEW
    user_id: str = ""
    items: tuple[Item, ...] = ()
    currency: str = NO_CURRENCY
    total_amount: int = 0
    payment_method: str = ""
    contact: Contact | None = None
    fingerprint: str = ""
    created_at: int = 0
    deadline_at: int | None = None
    failure: Failure | None = None
    facts: tuple[str, ...] = ()
    repeats: int = 0
    allowed_at: int = 0

    @property
    def unpriced(self) -> bool:
        """The order was created by an OrderCreated of version 1: what it costs is not known."""
        return bool(self.items) and self.currency == NO_CURRENCY

    @property
    def payment(self) -> Payment:
        """Money that was taken shows as PAID or REFUNDED whatever else was reported."""
        if OrderRefunded.name in self.facts:
            return Payment.REFUNDED
        if OrderPaid.name in self.facts:
            return Payment.PAID
        if OrderPaymentFailed.name in self.facts:
            return Payment.FAILED
        return Payment.VOIDED if OrderPaymentVoided.name in self.facts else Payment.PENDING

    @property
    def inventory(self) -> Inventory:
        """A shortage stays FAILED when inventory reports the release of what it held meanwhile."""
        released = OrderReleased.name in self.facts
        if OrderShipped.name in self.facts:
            return Inventory.SHIPPED
        if OrderReserved.name in self.facts:
            return Inventory.RELEASED if released else Inventory.RESERVED
        if OrderReservationFailed.name in self.facts:
            return Inventory.FAILED
        return Inventory.RELEASED if released else Inventory.PENDING

    @property
    def settled(self) -> bool:
        """The order is confirmed, completed, failed or cancelled: payment and inventory decide nothing any more."""
        return self.status is not Status.NEW and self.status not in OPEN

    @property
    def refused(self) -> bool:
        """The CreateOrder broke a rule: the order failed before it began."""
        return self.failure is not None and self.failure.stage == "VALIDATION"


def evolve(order: Order, event: Message) -> Order:
    """Fold one event of ``order.events``. Refusals and repeats of commands are counted, and change nothing."""
    match event:
        case CommandRepeated() | CancelRefused() | CompleteRefused():
            return replace(order, repeats=order.repeats + 1)
        case OrderCreated():
            return _created(event, order.repeats)
        case OrderRefused():
            return Order(
                repeats=order.repeats,
                status=Status.FAILED,
                user_id=event.user_id,
                fingerprint=event.fingerprint,
                created_at=event.timestamp,
                failure=Failure("VALIDATION", event.reason, event.field),
            )
        case OrderConfirmed():
            return replace(order, status=Status.CONFIRMED, allowed_at=event.timestamp)
        case OrderCompleted():
            return replace(order, status=Status.COMPLETED)
        case OrderCancelled():
            return replace(order, status=Status.CANCELLED)
        case OrderFailed():
            return replace(order, status=Status.FAILED, failure=Failure(event.stage, event.reason))
        case (
            OrderPaid()
            | OrderPaymentFailed()
            | OrderRefunded()
            | OrderPaymentVoided()
            | OrderReserved()
            | OrderReservationFailed()
            | OrderReleased()
            | OrderShipped()
        ):
            status = Status.PROCESSING if order.status is Status.CREATED else order.status
            return replace(order, status=status, facts=(*order.facts, event.name))
        case _:
            return order


def _created(event: OrderCreated, repeats: int) -> Order:
    return Order(
        repeats=repeats,
        allowed_at=event.timestamp,
        status=Status.CREATED,
        user_id=event.user_id,
        items=event.items,
        currency=event.currency,
        total_amount=event.total_amount,
        payment_method=event.payment_method,
        contact=event.contact,
        fingerprint=event.fingerprint,
        created_at=event.timestamp,
        deadline_at=event.deadline_at,
    )
