"""What clients see: orders and timelines as JSON. Amounts are decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from eventbus import Entry, HoldStatus
from schemas import CreateOrder
from schemas.money import EXPONENTS, decimal_text
from services.order.rules import total_of
from services.order.state import Inventory, Order, Payment, Status


class ItemView(TypedDict):
    """One line of an order."""

    productId: str
    quantity: int
    unitPrice: str


class FailureView(TypedDict):
    """Why an order failed; ``field`` only if a field of it broke a rule."""

    stage: str
    reason: str
    field: NotRequired[str]


class AcceptedView(TypedDict):
    """What is known of an order the moment its command is durable."""

    orderId: str
    userId: str
    status: str
    payment: str
    inventory: str
    currency: str
    totalAmount: str


class HeldView(TypedDict):
    """Which service's message of this order waits for another try or for a person, and since when."""

    service: str
    attempts: int
    since: str


class OrderView(TypedDict):
    """An order as it stands. ``version`` counts its events."""

    orderId: str
    userId: str
    items: list[ItemView]
    currency: str | None
    totalAmount: str | None
    status: str
    payment: str
    inventory: str
    failure: FailureView | None
    held: NotRequired[HeldView]
    version: int
    createdAt: str
    updatedAt: str
    deadlineAt: str | None


class EventView(TypedDict):
    """One event of an order. ``cause``: topic-partition-offset of the message it answers."""

    version: int
    type: str
    time: str
    cause: str | None
    topic: str
    partition: int
    offset: int
    data: dict[str, Any]


class TimelineView(TypedDict):
    """Events of an order, oldest first. ``next`` is the ``cursor`` of the page after this one, null on the last."""

    orderId: str
    events: list[EventView]
    next: str | None


def accepted(command: CreateOrder) -> AcceptedView:
    """The answer to an order that was taken in and is not looked at any further."""
    return _accepted(command.order_id, command.user_id, command.currency, total_of(command.items))


def accepted_before(order_id: str, order: Order) -> AcceptedView:
    """The same answer again, whatever became of the order since."""
    return _accepted(order_id, order.user_id, order.currency, order.total_amount)


def _accepted(order_id: str, user_id: str, currency: str, total: int) -> AcceptedView:
    return {
        "orderId": order_id,
        "userId": user_id,
        "status": Status.CREATED.value,
        "payment": Payment.PENDING.value,
        "inventory": Inventory.PENDING.value,
        "currency": currency,
        "totalAmount": decimal_text(total, currency),
    }


def order_view(entry: Entry[Order], held: HoldStatus | None = None) -> OrderView:
    """The order with all its fields; a refused one has neither items nor money."""
    order = entry.state
    currency = order.currency or None
    view: OrderView = {
        "orderId": entry.key,
        "userId": order.user_id,
        "items": [
            {
                "productId": item.product_id,
                "quantity": item.quantity,
                "unitPrice": decimal_text(item.unit_price, order.currency),
            }
            for item in order.items
        ],
        "currency": currency,
        "totalAmount": decimal_text(order.total_amount, currency) if currency else None,
        "status": order.status.value,
        "payment": order.payment.value,
        "inventory": order.inventory.value,
        "failure": _failure(order),
        "version": entry.version,
        "createdAt": instant(order.created_at),
        "updatedAt": instant(entry.updated_at),
        "deadlineAt": None if order.deadline_at is None else instant(order.deadline_at),
    }
    if held is not None:
        view["held"] = {"service": held.service, "attempts": held.attempts, "since": instant(held.since)}
    return view


def timeline_view(order_id: str, rows: Sequence[sqlite3.Row], limit: int) -> TimelineView:
    """Rows of :class:`Timeline` for one order: a page of ``limit``, and one more if there is a page after it."""
    page = rows[:limit]
    return {
        "orderId": order_id,
        "events": [
            {
                "version": row["version"],
                "type": row["type"],
                "time": instant(row["time"]),
                "cause": row["cause"],
                "topic": row["topic"],
                "partition": row["partition"],
                "offset": row["position"],
                "data": _readable(json.loads(row["data"])),
            }
            for row in page
        ],
        "next": str(page[-1]["version"]) if len(rows) > limit else None,
    }


def instant(ms: int) -> str:
    """Ms since epoch as RFC 3339 (UTC, to the millisecond)."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failure(order: Order) -> FailureView | None:
    if order.failure is None:
        return None
    failure: FailureView = {"stage": order.failure.stage, "reason": order.failure.reason}
    if order.failure.field is not None:
        failure["field"] = order.failure.field
    return failure


def _readable(data: dict[str, Any]) -> dict[str, Any]:
    """An event's body with amounts and times written as everywhere in this API."""
    currency = data.get("currency")
    for name in ("timestamp", "deadlineAt"):
        if data.get(name) is not None:
            data[name] = instant(data[name])
    if currency in EXPONENTS:
        for name in ("amount", "totalAmount"):
            if name in data:
                data[name] = decimal_text(data[name], currency)
        for item in data.get("items", ()):
            item["unitPrice"] = decimal_text(item["unitPrice"], currency)
    return data
