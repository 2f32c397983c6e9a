"""Notification's rules, pure: what the customer is told, and what not.

Every event of an order is answered once per kind, by NotificationSent or by NotificationSkipped; "nothing"
means that this kind was answered before. The first address met (usually in OrderCreated) is kept for the
events that carry none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Told:
    """What one order's customer was told: the kinds answered (sent or skipped), and the address known."""

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
    """Tell the customer of ``event``; the same event always has the same message id."""

    event: Input
    message_id: str
    recipient: str | None


@dataclass(frozen=True)
class Delivered(Outcome):
    """The channel has taken the message."""

    notify: Notify
    channel: str


@dataclass(frozen=True)
class NoContact(Outcome):
    """The channel needs an address, and none is known."""

    notify: Notify
    channel: str


def decide(message: Input | Delivered | NoContact, told: Told) -> Sequence[Event | Request]:
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
        case _ if message.name in told.kinds:
            return []
        case OrderFailed(stage=stage) if stage != EXPIRED:
            # The customer hears of it from the branch that failed: PaymentFailed or InventoryFailed.
            return [skipped(message, "none", f"told when stage {stage} failed")]
        case _:
            contact = message.contact.email if message.contact else None
            return [Notify(message, message_id(message), address(contact) or address(told.recipient))]


def address(text: str | None) -> str | None:
    """``text``, unless it is no address: old events, or those of other systems, may hold anything."""
    return text if text and not wrong_address(text) else None


def message_id(event: Input) -> str:
    """The same for every repeat, so that a customer's mailbox (or a person) can tell a repeat."""
    return f"{event.order_id}:{event.name}"


def skipped(event: Input, channel: str, reason: str) -> NotificationSkipped:
    return NotificationSkipped(
        order_id=event.order_id,
        kind=event.name,
        message_id=message_id(event),
        channel=channel,
        reason=reason,
    )


def evolve(told: Told, event: NotificationSent | NotificationSkipped) -> Told:
    """Fold one event of notification's own log."""
    recipient = event.recipient if isinstance(event, NotificationSent) else None
    return Told((*told.kinds, event.kind), told.recipient or recipient)


async def unconnected(request: Request) -> Outcome:
    """Stands where ``__main__`` puts the channel."""
    raise RuntimeError(f"no channel is connected to answer {request}")


reactor: Reactor[Told] = Reactor(
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
    initial=Told(),
    decide=decide,
    evolve=evolve,
    fold_version=1,
    call=unconnected,
)
