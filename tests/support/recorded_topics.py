"""The topics of a small shop, recorded by hand: each record as the services write it, and ways to falsify it.

Every :class:`Raw` holds the offset that its record gets if all are written in this order to empty topics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import Parked, State
from schemas import (
    AdjustStock,
    CancelOrder,
    CompleteOrder,
    CreateOrder,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    OrderPaid,
    OrderPaymentFailed,
    OrderRefunded,
    OrderReleased,
    OrderReserved,
    OrderShipped,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    ProductReleased,
    ProductReserved,
    ProductShipped,
    ReleaseStarted,
    ReleaseStock,
    ReservationStarted,
    ReserveStock,
    ShipmentStarted,
    ShipStock,
    StockAdjusted,
    StockAnswered,
    StockReleased,
    StockReserved,
    StockShipped,
)

NOW = 1_800_000_000_000
Alter = Callable[[Any], Message]


def place_of(raw: Raw) -> Position:
    """Where a record stands."""
    return Position(raw.topic, raw.partition, raw.offset)


@dataclass
class RecordedTopics:
    """Records all messages of orders, from the first to the last.

    ``omit``, ``repeat`` and ``alter`` name messages that it leaves out, writes twice or alters. It writes all others
    as if nothing were wrong."""

    partition_of: Callable[[bytes], int]
    omit: Sequence[str] = ()
    repeat: Sequence[str] = ()
    alter: dict[str, Alter] = field(default_factory=dict)
    records: list[Raw] = field(default_factory=list)
    gateway: list[dict[str, Any]] = field(default_factory=list)
    available: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.codec = Codec("schemas")
        self._versions: dict[tuple[str, str], int] = {}
        self._ends: dict[tuple[str, int], int] = {}

    def ends(self) -> dict[tuple[str, int], int]:
        """By topic and partition, the offset after the last record."""
        return dict(self._ends)

    def write(self, message: Message, cause: Position | None = None, **envelope: Any) -> Position:
        """One message; with a cause it is an event of its log. ``envelope`` overrides what its headers say."""
        name = message.name
        if name in self.omit:
            # what follows needs a cause all the same: any record that is there will do
            partition = self.partition_of(message.key.encode())
            return Position(
                message.topic, partition, max(0, self._ends.get((message.topic, partition), 0) - 1)
            )
        if name in self.alter:
            message = self.alter[name](message)
        place = self._write(message, cause, envelope)
        if name in self.repeat:
            self._write(message, cause, {"id": f"again/{place}", **envelope})
        return place

    def _write(self, message: Message, cause: Position | None, envelope: dict[str, Any]) -> Position:
        version = None
        if cause is not None:
            key = (message.topic, message.key)
            version = self._versions[key] = self._versions.get(key, 0) + 1
        partition = self.partition_of(message.key.encode())
        fields: dict[str, Any] = {
            "message": message,
            "id": f"{cause}/{message.name}",
            "time": NOW,
            "source": "/test",
            "correlation_id": "c",
            "cause": None if cause is None else str(cause),
            "key_version": version,
            "traceparent": None,
            "topic": message.topic,
            "partition": partition,
            "offset": 0,
            **envelope,
        }
        headers = headers_of(Envelope(**fields))
        return self.put(
            message.topic, fields["partition"], message.key.encode(), self.codec.encode(message), headers
        )

    def put(self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers) -> Position:
        """Append any record."""
        offset = self._ends.get((topic, partition), 0)
        self._ends[topic, partition] = offset + 1
        self.records.append(Raw(topic, partition, offset, key, value, headers, NOW))
        return Position(topic, partition, offset)

    def find(self, topic: str, key: str, name: str = "") -> Raw:
        """The first record of a key in a topic, of a message of that name."""
        return next(
            raw
            for raw in self.records
            if (raw.topic, raw.key) == (topic, key.encode()) and name in ("", raw.header("ce_type"))
        )

    def dead_letter(self, raw: Raw, service: str) -> None:
        """A dead letter of a record."""
        error: dict[str, Any] = {
            "topic": raw.topic,
            "partition": raw.partition,
            "offset": raw.offset,
            "exception": "Retryable",
            "message": "the gateway is away",
        }
        headers = [*raw.headers, *((f"__eventbus.errors.{k}", str(v).encode()) for k, v in error.items())]
        self.put(f"{service}.dlq", raw.partition, raw.key or b"", raw.value or b"", headers)

    def park(self, raw: Raw, service: str, state: str, attempt: int = 1) -> None:
        """A message is parked, or its wait has come to the next state."""
        log, key = f"{service}.events", (raw.key or b"").decode()
        parked = Parked(raw, log, key, 1, State(state), attempt, NOW, NOW, "Retryable", "the gateway is away")
        self.put(
            f"{service}.retry", raw.partition, raw.coordinates.encode(), raw.value or b"", parked.headers()
        )

    def moved(self, kind: str, order: str, amount: int, key: str = "") -> None:
        """A charge or refund at the gateway."""
        row = {
            "seq": len(self.gateway) + 1,
            "key": key or f"{kind.lower()}:{order}:1",
            "orderId": order,
            "kind": kind,
            "amount": amount,
            "currency": "GBP",
            "outcome": "SUCCEEDED",
            "id": f"{kind}-{order}",
        }
        self.gateway.append(row)

    def record(self, after: int = 0) -> str:
        """The gateway's record as NDJSON."""
        return "".join(json.dumps(row) + "\n" for row in self.gateway if row["seq"] > after)

    def stock(self, product: str, quantity: int) -> None:
        """Put pieces in stock."""
        self.available[product] = self.available.get(product, 0) + quantity
        cause = self.write(AdjustStock(product_id=product, quantity=quantity, reason="delivery"))
        left = self.available[product]
        self.write(
            StockAdjusted(product_id=product, quantity=quantity, reason="delivery", available_qty=left), cause
        )

    def create(self, order: str, product: str, quantity: int = 2, price: int = 100) -> Position:
        """The order is accepted, and reserved; where its OrderCreated stands."""
        items = (Item(product_id=product, quantity=quantity, unit_price=price),)
        who: dict[str, Any] = {"order_id": order, "user_id": "u"}
        command = self.write(CreateOrder(**who, items=items, currency="GBP"))
        created = self.write(OrderCreated(**who, items=items, total_amount=quantity * price), command)
        self.write(ReservationStarted(**who, items=items), created)
        reserve = self.write(ReserveStock(product_id=product, order_id=order, quantity=quantity))
        self.available[product] -= quantity
        left = self.available[product]
        what = {"product_id": product, "order_id": order}
        moved: dict[str, Any] = {**what, "quantity": quantity, "available_qty": left}
        self.write(StockReserved(**moved), reserve)
        answer = self.write(StockAnswered(**moved, outcome="RESERVED"))
        self.write(ProductReserved(order_id=order, product_id=product, quantity=quantity), answer)
        reserved = self.write(InventoryReserved(**who, items=items), answer)
        self.write(OrderReserved(order_id=order), reserved)
        return created

    def confirm(self, order: str, product: str, quantity: int = 2, price: int = 100) -> None:
        """An order that is charged, reserved and confirmed."""
        created = self.create(order, product, quantity, price)
        total = quantity * price
        self.moved("CHARGE", order, total)
        paid = self.write(
            PaymentSucceeded(
                order_id=order, user_id="u", amount=total, currency="GBP", charge_id=f"CHARGE-{order}"
            ),
            created,
        )
        self.write(OrderPaid(order_id=order, amount=total, currency="GBP"), paid)
        self.write(OrderConfirmed(order_id=order, user_id="u", total_amount=total, currency="GBP"), paid)

    def decline(self, order: str, product: str, quantity: int = 2, price: int = 100) -> None:
        """An order whose payment fails; what it held goes back."""
        created = self.create(order, product, quantity, price)
        why: dict[str, Any] = {"order_id": order, "user_id": "u", "reason": "card declined"}
        failed = self.write(PaymentFailed(**why, amount=quantity * price), created)
        self.write(OrderPaymentFailed(order_id=order, reason="card declined"), failed)
        settled = self.write(OrderFailed(**why, stage="PAYMENT"), failed)
        self.release(order, product, quantity, settled)

    def cancel(self, order: str, product: str, quantity: int = 2, price: int = 100) -> None:
        """A confirmed order that is cancelled: money and goods go back."""
        command = self.write(CancelOrder(order_id=order))
        settled = self.write(OrderCancelled(order_id=order, user_id="u"), command)
        total = quantity * price
        money: dict[str, Any] = {"order_id": order, "amount": total, "currency": "GBP"}
        if "refund" not in self.omit:
            self.moved("REFUND", order, total)
        back = self.write(PaymentRefunded(**money, refund_id=f"REFUND-{order}"), settled)
        if "PaymentRefunded" not in self.omit:
            self.write(OrderRefunded(**money), back)
        self.release(order, product, quantity, settled)

    def release(self, order: str, product: str, quantity: int, settled: Position) -> None:
        """What the order held goes back into stock."""
        self.write(ReleaseStarted(order_id=order), settled)
        command = self.write(ReleaseStock(product_id=product, order_id=order))
        self.available[product] += quantity
        left = self.available[product]
        what = {"product_id": product, "order_id": order}
        moved: dict[str, Any] = {**what, "quantity": quantity, "available_qty": left}
        self.write(StockReleased(**moved), command)
        answer = self.write(StockAnswered(**moved, outcome="RELEASED"))
        self.write(ProductReleased(order_id=order, product_id=product, quantity=quantity), answer)
        released = self.write(InventoryReleased(order_id=order), answer)
        if "InventoryReleased" not in self.omit:
            self.write(OrderReleased(order_id=order), released)

    def complete(self, order: str, product: str, quantity: int = 2) -> None:
        """The goods of a confirmed order are handed over."""
        command = self.write(CompleteOrder(order_id=order))
        settled = self.write(OrderCompleted(order_id=order, user_id="u"), command)
        self.write(ShipmentStarted(order_id=order), settled)
        ship = self.write(ShipStock(product_id=product, order_id=order))
        left = self.available[product]
        what = {"product_id": product, "order_id": order}
        moved: dict[str, Any] = {**what, "quantity": quantity, "available_qty": left}
        self.write(StockShipped(**moved), ship)
        answer = self.write(StockAnswered(**moved, outcome="SHIPPED"))
        self.write(ProductShipped(order_id=order, product_id=product, quantity=quantity), answer)
        shipped = self.write(InventoryShipped(order_id=order), answer)
        self.write(OrderShipped(order_id=order), shipped)
