"""Notification's rules, pure: which events the customer is notified of.

Each kind of event is answered once for an order, by NotificationSent or by NotificationSkipped. No events means that
this kind was answered before. The first address found, usually in OrderCreated, is kept for the events without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from eventbus import Event, Mismatch, Outcome, Reactor, Request
from schemas import (
    InventoryFailed,
    NotificationSent,
    NotificationSkipped,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from schemas.address import wrong_address
from schemas.orders import inconsistency

EXPIRED = "EXPIRED"


class Notified(Struct, frozen=True):
    """The notifications of one order: the kinds of events answered (sent or skipped), and the address known."""

    kinds: tuple[str, ...] = ()
    recipient: str | None = None


Input = (
    OrderCreated
    | PaymentFailed
    | InventoryFailed
    | OrderConfirmed
    | OrderCancelled
    | OrderCompleted
    | OrderFailed
)


@dataclass(frozen=True)
class Notify(Request):
    """Notify the customer of ``event``. The same event always has the same message id."""

    event: Input
    message_id: str
    recipient: str | None


@dataclass(frozen=True)
class Delivered(Outcome):
    """The channel accepted the message."""

    notify: Notify
    channel: str


@dataclass(frozen=True)
class NoContact(Outcome):
    """The channel needs an address, and none is known."""

    notify: Notify
    channel: str


def decide(message: Input | Delivered | NoContact, notified: Notified) -> Sequence[Event | Request]:
    """No events means that this kind was answered before: a repeat is not an error. Raises Mismatch for a forgery."""
    if isinstance(message, OrderCreated) and (wrong := inconsistency(message)):
        raise Mismatch(f"{wrong}: find out who sent it")
    match message:
        case Delivered(notify, channel):
            return [
                NotificationSent(
                    order_id=notify.event.order_id,
                    kind=notify.event.name,
                    message_id=notify.message_id,
                    channel=channel,
                    recipient=notify.recipient,
                )
            ]
        case NoContact(notify, channel):
            return [skipped(notify.event, channel, "no contact is known")]
        case _ if message.name in notified.kinds:
            return []
        case OrderFailed(stage=stage) if stage != EXPIRED:
            # The customer is notified by the event of the branch that failed: PaymentFailed or InventoryFailed.
            return [skipped(message, "none", f"told when stage {stage} failed")]
        case _:
            contact = message.contact.email if message.contact else None
            return [Notify(message, message_id(message), address(contact) or address(notified.recipient))]


def address(text: str | None) -> str | None:
    """``text`` if it is an address, else None: old events, and those of other systems, may hold any text."""
    return text if text and not wrong_address(text) else None


def message_id(event: Input) -> str:
    """The same for every repeat, so that a mail system or a person can recognise a repeat."""
    return f"{event.order_id}:{event.name}"


def skipped(event: Input, channel: str, reason: str) -> NotificationSkipped:
    return NotificationSkipped(
        order_id=event.order_id,
        kind=event.name,
        message_id=message_id(event),
        channel=channel,
        reason=reason,
    )


def evolve(notified: Notified, event: NotificationSent | NotificationSkipped) -> Notified:
    """Fold one event of notification's own log."""
    recipient = event.recipient if isinstance(event, NotificationSent) else None
    return Notified((*notified.kinds, event.kind), notified.recipient or recipient)


def notification_reactor(call: Callable[[Request], Awaitable[Outcome]]) -> Reactor[Notified]:
    """The reactor that writes ``notification.events``. ``call`` answers a Notify."""
    return Reactor(
        log="notification.events",
        inputs=(
            OrderCreated,
            PaymentFailed,
            InventoryFailed,
            OrderConfirmed,
            OrderCancelled,
            OrderCompleted,
            OrderFailed,
        ),
        initial=Notified(),
        decide=decide,
        evolve=evolve,
        fold_version=1,
        call=call,
    )
