"""What the services take and give. Written by `make reference` from their OpenAPI documents."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AcceptedView(TypedDict):
    """What is known of an order the moment its command is durable."""

    orderId: str
    userId: str
    status: str
    payment: str
    inventory: str
    currency: str
    totalAmount: str


class Adjustment(TypedDict):
    """Pieces that came (positive) or went (negative), and why."""

    quantity: int
    reason: str


class CancelBody(TypedDict):
    """Why the order is cancelled, if the customer says so."""

    reason: NotRequired[str | None]


class CompleteBody(TypedDict):
    """An empty object."""


class ContactBody(TypedDict):
    """Where the customer is notified about the order."""

    email: NotRequired[str | None]
    language: NotRequired[str | None]


class EventView(TypedDict):
    """One event of an order. `cause`: topic-partition-offset of the message it answers."""

    version: int
    type: str
    time: str
    cause: str | None
    topic: str
    partition: int
    offset: int
    data: dict[str, Any]


class FailedView(TypedDict):
    """How a message that failed stands, as a record of a retry topic or a dead letter says it."""

    state: str
    attempts: int
    due: str | None
    error: str | None


class FailureView(TypedDict):
    """Why an order failed; `field` only if a field of it broke a rule."""

    stage: str
    reason: str
    field: NotRequired[str]


class HeldView(TypedDict):
    """The service that holds a message of this order, for another try or for a person, and since when."""

    service: str
    attempts: int
    since: str


class ItemBody(TypedDict):
    """One line of an order. Without a `unitPrice` the price list gives it."""

    productId: str
    quantity: int
    unitPrice: NotRequired[str | None]


class ItemView(TypedDict):
    """One line of an order. `unitPrice` is null in an order that names no price (version 1 of
    OrderCreated)."""

    productId: str
    quantity: int
    unitPrice: str | None


class OrderOfItems(TypedDict):
    """An order of one or more lines."""

    userId: str
    currency: NotRequired[str | None]
    paymentMethod: NotRequired[str]
    contact: NotRequired[ContactBody | None]
    items: list[ItemBody]


class OrderOfOne(TypedDict):
    """An order of one product, in a short form."""

    userId: str
    currency: NotRequired[str | None]
    paymentMethod: NotRequired[str]
    contact: NotRequired[ContactBody | None]
    productId: str
    quantity: int
    unitPrice: NotRequired[str | None]


class OrderPage(TypedDict):
    """Orders, the newest first. `next` is the `cursor` of the page after this one, null on the last;
    `position` is where a stream of a user's orders goes on from this page, as its `lastEventId`."""

    orders: list[OrderView]
    next: str | None
    position: str


class OrderView(TypedDict):
    """An order as it stands. `version` counts its events. Without a known price (an order that was refused,
    or of version 1 of OrderCreated) `currency` and `totalAmount` are null."""

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


class PaymentPage(TypedDict):
    """Payments, the newest first. `next` is the `cursor` of the page after this one, null on the last."""

    payments: list[PaymentView]
    next: str | None


class PaymentView(TypedDict):
    """`amount` is a decimal string in `currency`. Both are null where the order ended before it was
    charged, or names no price. `userId` is null until the payment succeeded or failed."""

    orderId: str
    userId: str | None
    status: Literal["NEW", "PAID", "FAILED", "REFUNDED", "VOIDED"]
    amount: str | None
    currency: str | None
    chargeId: str | None
    version: int
    createdAt: str
    updatedAt: str


class Problem(TypedDict):
    """What is wrong (RFC 9457). `type` is the address of a page about it, on this service."""

    type: str
    title: str
    status: int
    detail: NotRequired[str]
    errors: NotRequired[list[dict[str, Any]]]


class RecordView(TypedDict):
    """One record. What it led to follows it, one `depth` deeper. `cause` is the record that led to it, as
    topic-partition-offset; a deadline that passed stands in `deadline` instead. `waitsFor` names the
    services that have not decided it yet, `problem` what is wrong with what the record says of itself.
    `kcat` is a line for a shell that prints it. A caller that acts for a customer gets neither that nor the
    texts of errors."""

    depth: int
    type: str | None
    time: str
    topic: str
    partition: int
    offset: int
    service: str | None
    key: str
    cause: str | None
    kcat: NotRequired[str]
    deadline: NotRequired[str]
    failed: NotRequired[FailedView]
    waitsFor: NotRequired[list[str]]
    problem: NotRequired[str]


class StockPage(TypedDict):
    """Products in order of their ids. `nextCursor` asks for the page after this one; null on the last."""

    items: list[StockView]
    nextCursor: str | None


class StockView(TypedDict):
    """One product: pieces available, pieces held for orders, and when either last changed."""

    productId: str
    availableQty: int
    reservedQty: int
    updatedAt: str


class TimelineView(TypedDict):
    """Events of an order, oldest first. `next` is the `cursor` of the page after this one, null on the
    last."""

    orderId: str
    events: list[EventView]
    next: str | None


class WhyView(TypedDict):
    """All records that have to do with an order, each after its cause. If `complete` is false there may be
    more, and `missing` says why they are not here."""

    orderId: str
    complete: bool
    missing: str | None
    records: list[RecordView]
