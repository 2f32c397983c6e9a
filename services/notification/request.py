"""What notification asks of its channels for one event, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass

from eventbus import Outcome, Request, Retryable
from schemas import (
    InventoryFailed,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)

NO_CONTACT = "no contact is known"

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
    """Notify the customer of ``event`` by these channels. The same event always has the same message id."""

    event: Input
    message_id: str
    recipient: str | None
    channels: tuple[str, ...] = ("log",)
    language: str | None = None
    unreachable: str = NO_CONTACT
    """Why ``recipient`` is None, if it is."""


@dataclass(frozen=True)
class Sent:
    """The channel accepted the message."""

    channel: str


@dataclass(frozen=True)
class Skipped:
    """The channel was not asked: the customer cannot be reached by it."""

    channel: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """The channel will never deliver the message."""

    channel: str
    reason: str


Answer = Sent | Skipped | Refused


@dataclass(frozen=True)
class Answered(Outcome):
    """What became of a Notify: one final answer of each channel that was asked."""

    notify: Notify
    answers: tuple[Answer, ...]


class Delayed(Retryable):
    """Some channels may deliver later. ``answers``: those of the channels that have answered for good."""

    def __init__(self, reason: str, answers: tuple[Answer, ...] = ()) -> None:
        super().__init__(reason)
        self.answers = answers
