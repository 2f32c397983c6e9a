"""What clients see: orders and timelines as JSON. Amounts are decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from eventbus import Entry, HoldStatus
from eventbus.http import Time, rfc3339
from schemas import CreateOrder
from schemas.money import EXPONENTS, NO_CURRENCY, decimal_text
from schemas.orders import total_of
from services.order.state import Inventory, Order, Payment, Status


class ItemView(TypedDict):
    """One line of an order. ``unitPrice`` is null in an order that names no price (version 1 of OrderCreated)."""

    productId: str
    quantity: int
    unitPrice: str | None


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
    """The service that holds a message of this order, for another try or for a person, and since when."""

    service: str
    attempts: int
    since: Time


class OrderView(TypedDict):
    """An order as it stands. ``version`` counts its events. Without a known price (an order that was refused, or of
    version 1 of OrderCreated) ``currency`` and ``totalAmount`` are null."""

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
    createdAt: Time
    updatedAt: Time
    deadlineAt: Time | None


class EventView(TypedDict):
    """One event of an order. ``cause``: topic-partition-offset of the message it answers."""

    version: int
    type: str
    time: Time
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


class OrderPage(TypedDict):
    """Orders, the newest first.

    ``next`` is the ``cursor`` of the page after this one, null on the last; ``position`` is where a stream of a
    user's orders goes on from this page, as its ``lastEventId``.
    """

    orders: list[OrderView]
    next: str | None
    position: str


def accepted(command: CreateOrder) -> AcceptedView:
    """The answer to an order that was accepted, when the client does not wait for it to settle."""
    return _accepted(command.order_id, command.user_id, command.currency, total_of(command.items))


def accepted_before(order_id: str, order: Order) -> AcceptedView:
    """The same answer again, whatever happened to the order since."""
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
    """The order with all its fields; a refused one has neither items nor money, one of version 1 no money."""
    order = entry.state
    view: OrderView = {
        "orderId": entry.key,
        "userId": order.user_id,
        "items": [
            {
                "productId": item.product_id,
                "quantity": item.quantity,
                "unitPrice": _amount(item.unit_price, order.currency),
            }
            for item in order.items
        ],
        "currency": order.currency or None,
        "totalAmount": _amount(order.total_amount, order.currency),
        "status": order.status.value,
        "payment": order.payment.value,
        "inventory": order.inventory.value,
        "failure": _failure(order),
        "version": entry.version,
        "createdAt": rfc3339(order.created_at),
        "updatedAt": rfc3339(entry.updated_at),
        "deadlineAt": None if order.deadline_at is None else rfc3339(order.deadline_at),
    }
    if held is not None:
        view["held"] = {"service": held.service, "attempts": held.attempts, "since": rfc3339(held.since)}
    return view


def timeline_view(order_id: str, rows: Sequence[sqlite3.Row], limit: int) -> TimelineView:
    """Rows of :class:`Timeline` for one order: a page of ``limit``, and one more if there is a page after it."""
    page = rows[:limit]
    return {
        "orderId": order_id,
        "events": [event_view(row) for row in page],
        "next": str(page[-1]["version"]) if len(rows) > limit else None,
    }


def event_view(row: sqlite3.Row) -> EventView:
    """A row of :class:`Timeline`."""
    return {
        "version": row["version"],
        "type": row["type"],
        "time": rfc3339(row["time"]),
        "cause": row["cause"],
        "topic": row["topic"],
        "partition": row["partition"],
        "offset": row["position"],
        "data": _readable(json.loads(row["data"])),
    }


def _failure(order: Order) -> FailureView | None:
    if order.failure is None:
        return None
    failure: FailureView = {"stage": order.failure.stage, "reason": order.failure.reason}
    if order.failure.field is not None:
        failure["field"] = order.failure.field
    return failure


def _readable(data: dict[str, Any]) -> dict[str, Any]:
    """An event's body with amounts and times written as everywhere in this API; without a currency they are null."""
    currency = data.get("currency")
    for name in ("timestamp", "deadlineAt"):
        if data.get(name) is not None:
            data[name] = rfc3339(data[name])
    if currency in EXPONENTS or currency == NO_CURRENCY:
        for name in ("amount", "totalAmount"):
            if name in data:
                data[name] = _amount(data[name], currency)
        for item in data.get("items", ()):
            item["unitPrice"] = _amount(item["unitPrice"], currency)
        data["currency"] = currency or None
    return data


def _amount(amount: int, currency: str) -> str | None:
    return None if currency == NO_CURRENCY else decimal_text(amount, currency)
