"""The rules for commands. The API and the decider call the same functions, so they cannot disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from schemas import CreateOrder, Item
from schemas.address import wrong_address
from schemas.language import wrong_language
from schemas.money import EXPONENTS, MAX_AMOUNT
from schemas.orders import total_of
from services.order.state import Status

MAX_TEXT = 100
"""Characters of an id or a token: other services use them as keys of topics and in lines of files."""
REPEATS = 20
"""Events of one order that only record that a command changed nothing. More would say nothing new, and anybody could
make a timeline grow without end."""

MAX_TIME = 253_370_764_800_000
"""9999-01-01 in ms since epoch. A later time cannot be shown as a date."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of an order: lines, and pieces in one line."""

    items: int = 2_000
    quantity: int = 100_000


class BrokenRule(NamedTuple):
    """The field of the command (camelCase path such as ``items[0].quantity``) and what is wrong with it."""

    field: str
    reason: str


def broken_rule(command: CreateOrder, limits: Limits) -> BrokenRule | None:
    """The first rule that the command breaks, or None."""
    for field, text in (
        ("orderId", command.order_id),
        ("userId", command.user_id),
        ("paymentMethod", command.payment_method),
    ):
        if wrong := _wrong_text(text):
            return BrokenRule(field, f"{field} {wrong}")
    email = command.contact.email if command.contact else None
    if email is not None and (wrong := wrong_address(email)):
        return BrokenRule("contact.email", f"contact.email {wrong}")
    language = command.contact.language if command.contact else None
    if language is not None and (wrong := wrong_language(language)):
        return BrokenRule("contact.language", f"contact.language {wrong}")
    for field, time in (("timestamp", command.timestamp), ("deadlineAt", command.deadline_at or 0)):
        if not 0 <= time < MAX_TIME:
            return BrokenRule(field, f"{field} must be a time before the year 9999, got {time}")
    if command.currency not in EXPONENTS:
        return BrokenRule(
            "currency", f"unknown currency {command.currency[:MAX_TEXT]!r}: expected an ISO 4217 code"
        )
    if not command.items:
        return BrokenRule("items", "an order needs at least one item")
    if len(command.items) > limits.items:
        return BrokenRule("items", f"an order has at most {limits.items} items, got {len(command.items)}")
    for index, item in enumerate(command.items):
        if broken := _broken_item(item, limits):
            return BrokenRule(f"items[{index}].{broken.field}", broken.reason)
    if total_of(command.items) > MAX_AMOUNT:
        return BrokenRule("items", f"the total amount is too large: at most {MAX_AMOUNT} minor units")
    return None


def cancel_obstacle(status: Status) -> str | None:
    """Why an order of this status cannot be cancelled; None if it can be, or is."""
    match status:
        case Status.NEW:
            return "there is no such order"
        case Status.FAILED:
            return "the order has failed: there is nothing to cancel"
        case Status.COMPLETED:
            return "the order is completed: its goods were handed over"
    return None


def complete_obstacle(status: Status) -> str | None:
    """Why an order of this status cannot be completed; None if it can be, or is."""
    match status:
        case Status.NEW:
            return "there is no such order"
        case Status.CREATED | Status.PROCESSING:
            return "the order is not confirmed yet"
        case Status.FAILED:
            return "the order has failed"
        case Status.CANCELLED:
            return "the order was cancelled"
    return None


def _broken_item(item: Item, limits: Limits) -> BrokenRule | None:
    if wrong := _wrong_text(item.product_id):
        return BrokenRule("productId", f"productId {wrong}")
    if not 1 <= item.quantity <= limits.quantity:
        return BrokenRule("quantity", f"quantity must be from 1 to {limits.quantity}, got {item.quantity}")
    if item.unit_price < 0:
        return BrokenRule("unitPrice", "unitPrice must not be negative")
    return None


def _wrong_text(text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if len(text) > MAX_TEXT:
        return f"has at most {MAX_TEXT} characters, got {len(text)}"
    if not text.isprintable():
        return "must not have control characters"
    return None
