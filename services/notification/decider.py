"""Notification's rules, pure: which events the customer is notified of, and by which channels.

Each kind of event is answered once for an order: by NotificationSent, NotificationFailed or NotificationSkipped of
each channel. No events means that this kind was answered before. If some channels could not tell the customer yet,
NotificationDelayed follows the answers of the others, and only these channels are asked again. The first address
found, usually in OrderCreated, is kept for the events without one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from eventbus import Event, Mismatch, Outcome, Reactor, Request
from schemas import (
    Contact,
    InventoryFailed,
    NotificationDelayed,
    NotificationFailed,
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
from schemas.language import wrong_language
from schemas.orders import inconsistency
from services.notification.request import (
    NO_CONTACT,
    Answer,
    Answered,
    Delayed,
    Input,
    Notify,
    Refused,
    Sent,
    Skipped,
)

EXPIRED = "EXPIRED"


class Remaining(Struct, frozen=True):
    """The channels that have not answered an event of this kind yet, while others have."""

    kind: str
    channels: tuple[str, ...]


class Notified(Struct, frozen=True):
    """The notifications of one order: the kinds of events answered, and the address and language known."""

    kinds: tuple[str, ...] = ()
    recipient: str | None = None
    language: str | None = None
    delayed: tuple[Remaining, ...] = ()

    def remaining(self, kind: str) -> tuple[str, ...]:
        """The channels that have still to answer this kind; empty if none was asked, or all have answered."""
        return next((delayed.channels for delayed in self.delayed if delayed.kind == kind), ())


def decide(
    message: Input | Answered, notified: Notified, channels: tuple[str, ...]
) -> Sequence[Event | Request]:
    """No events means that this kind was answered before: a repeat is not an error. Raises Mismatch for a forgery."""
    if isinstance(message, OrderCreated) and (wrong := inconsistency(message)):
        raise Mismatch(f"{wrong}: find out who sent it")
    match message:
        case Answered(notify, answers):
            return [recorded(notify, answer) for answer in answers]
        case _ if remaining := notified.remaining(message.name):
            asked = tuple(channel for channel in remaining if channel in channels)
            gone = [channel for channel in remaining if channel not in channels]
            if asked:
                return [asking(message, notified, asked)]
            return [skipped(message, channel, "this channel is not in use any more") for channel in gone]
        case _ if message.name in notified.kinds:
            return []
        case OrderFailed(stage=stage) if stage != EXPIRED:
            # The customer is notified by the event of the branch that failed: PaymentFailed or InventoryFailed.
            return [skipped(message, "none", f"told when stage {stage} failed")]
        case _:
            return [asking(message, notified, channels)]


def asking(event: Input, notified: Notified, channels: tuple[str, ...]) -> Notify:
    """What to ask of the channels. Old events, and those of other systems, may hold any text as an address."""
    contact = event.contact or Contact()
    wrong = wrong_address(contact.email) if contact.email else None
    known = notified.recipient if notified.recipient and not wrong_address(notified.recipient) else None
    return Notify(
        event,
        message_id(event),
        contact.email if contact.email and not wrong else known,
        channels,
        language(contact.language) or language(notified.language),
        f"contact.email {wrong}" if wrong else NO_CONTACT,
    )


def language(tag: str | None) -> str | None:
    """``tag`` if it is a language tag, else None."""
    return tag if tag and not wrong_language(tag) else None


def message_id(event: Input) -> str:
    """The same for every repeat, so that a mail system or a person can recognise a repeat."""
    return f"{event.order_id}:{event.name}"


def recorded(notify: Notify, answer: Answer) -> Event:
    """The event that records what a channel answered."""
    match answer:
        case Sent(channel):
            return NotificationSent(
                order_id=notify.event.order_id,
                kind=notify.event.name,
                message_id=notify.message_id,
                channel=channel,
                recipient=notify.recipient,
                language=notify.language,
            )
        case Skipped(channel, reason):
            return skipped(notify.event, channel, reason)
        case Refused(channel, reason):
            return failed(notify, channel, reason)


def skipped(event: Input, channel: str, reason: str) -> NotificationSkipped:
    return NotificationSkipped(
        order_id=event.order_id,
        kind=event.name,
        message_id=message_id(event),
        channel=channel,
        reason=reason,
    )


def failed(notify: Notify, channel: str, reason: str) -> NotificationFailed:
    return NotificationFailed(
        order_id=notify.event.order_id,
        kind=notify.event.name,
        message_id=notify.message_id,
        channel=channel,
        recipient=notify.recipient,
        reason=reason,
    )


def record_answers(notify: Notify, notified: Notified, error: Exception) -> Sequence[Event]:
    """Of a try that failed in part: what answered is recorded, so that the next try asks only the others."""
    if not isinstance(error, Delayed) or not error.answers:
        return []
    answered = {answer.channel for answer in error.answers}
    return [
        *(recorded(notify, answer) for answer in error.answers),
        NotificationDelayed(
            order_id=notify.event.order_id,
            kind=notify.event.name,
            message_id=notify.message_id,
            channels=tuple(channel for channel in notify.channels if channel not in answered),
            reason=str(error),
        ),
    ]


def give_up(notify: Notify, notified: Notified, reason: str) -> Sequence[Event]:
    """After the last try: the channels that have not answered have failed."""
    remaining = notified.remaining(notify.event.name) or notify.channels
    return [failed(notify, channel, reason) for channel in remaining]


Own = NotificationSent | NotificationSkipped | NotificationFailed | NotificationDelayed


def evolve(notified: Notified, event: Own) -> Notified:
    """Fold one event of notification's own log."""
    others = tuple(delayed for delayed in notified.delayed if delayed.kind != event.kind)
    if isinstance(event, NotificationDelayed):
        delayed = (*others, Remaining(event.kind, event.channels))
        return Notified(notified.kinds, notified.recipient, notified.language, delayed)
    left = tuple(channel for channel in notified.remaining(event.kind) if channel != event.channel)
    sent = (event.recipient, event.language) if isinstance(event, NotificationSent) else (None, None)
    return Notified(
        notified.kinds if event.kind in notified.kinds else (*notified.kinds, event.kind),
        notified.recipient or sent[0],
        notified.language or sent[1],
        (*others, Remaining(event.kind, left)) if left else others,
    )


def notification_reactor(
    call: Callable[[Request], Awaitable[Outcome]],
    channels: tuple[str, ...] = ("log",),
    on_retries_exhausted: Callable[[Notify, Notified, str], Sequence[Event]] | None = None,
) -> Reactor[Notified]:
    """The reactor that writes ``notification.events``. ``call`` answers a Notify by these channels."""
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
        decide=partial(decide, channels=channels),
        evolve=evolve,
        fold_version=2,
        call=call,
        on_call_failed=record_answers,
        on_retries_exhausted=on_retries_exhausted,
    )
