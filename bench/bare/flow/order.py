"""The bare order service, behind the app that takes the orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Message
from msgspec.json import encode

from bench.bare.flow.records import Input, Output, Outputs, inputs
from bench.bare.flow.service import Service

TABLES = """
CREATE TABLE timeline (order_id TEXT, version INTEGER, user_id TEXT, type TEXT, time INTEGER, cause TEXT,
    topic TEXT, partition INTEGER, position INTEGER, data TEXT, PRIMARY KEY (order_id, version));
CREATE INDEX timeline_of_user ON timeline (user_id, partition, position);
CREATE TABLE list (id TEXT PRIMARY KEY, partition INTEGER, at INTEGER, user_id TEXT, status TEXT, payment TEXT)
    WITHOUT ROWID;
CREATE INDEX list_newest ON list (at, id);
CREATE INDEX list_by_status ON list (status, payment, at, id);
CREATE INDEX list_by_user ON list (user_id, at, id);
CREATE INDEX list_by_user_and_status ON list (user_id, status, payment, at, id);
CREATE TABLE tally (partition INTEGER PRIMARY KEY, created INTEGER, settled INTEGER, lines INTEGER);
"""
"""What this project answers the timeline of an order, the feed of a customer and lists of orders from."""
LIST = """
INSERT INTO list VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,
    payment = excluded.payment WHERE status != excluded.status OR payment != excluded.payment
"""
TALLY = """
INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT (partition) DO UPDATE SET created = created + excluded.created,
    settled = settled + excluded.settled, lines = lines + excluded.lines
"""
DEADLINE = 900_000
"""Ms that an order has."""


class Order(Service):
    """Creates orders, and confirms them once they are paid and reserved."""

    reads = ("order.commands", "inventory.events", "payment.events")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.db.executescript(TABLES)
        self._orders: dict[str, dict[str, Any]] = {}
        self._timeline: list[tuple[Any, ...]] = []
        self._tally: list[tuple[int, int, int, int]] = []

    def decide(self, batch: Sequence[Message]) -> Sequence[Output]:
        outputs = Outputs("order")
        for one in inputs(batch, ("CreateOrder", "PaymentSucceeded", "InventoryReserved")):
            if one.name == "CreateOrder":
                self._create(outputs, one)
            else:
                self._go_on(outputs, one)
        return outputs

    def _create(self, outputs: Outputs, one: Input) -> None:
        command = one.fields
        total = sum(item["quantity"] * item["unitPrice"] for item in command["items"])
        first = command["items"][0]
        created = {
            **command,
            "productId": first["productId"],
            "quantity": first["quantity"],
            "version": "2.1",
            "totalAmount": total,
            "deadlineAt": outputs.millis + DEADLINE,
        }
        order = {
            **command,
            "total": total,
            "paid": False,
            "reserved": False,
            "at": outputs.millis,
            "version": 0,
        }
        self._orders[command["orderId"]] = order
        self._add(outputs, one, order, "OrderCreated", created, 0)
        self._tally.append((one.record.partition() or 0, 1, 0, len(command["items"])))

    def _go_on(self, outputs: Outputs, one: Input) -> None:
        order = self._orders[one.fields["orderId"]]
        fields = {"orderId": order["orderId"]}
        if one.name == "PaymentSucceeded":
            order["paid"] = True
            paid = {**fields, "amount": one.fields["amount"], "currency": one.fields["currency"]}
            self._add(outputs, one, order, "OrderPaid", paid, 0)
        else:
            order["reserved"] = True
            self._add(outputs, one, order, "OrderReserved", fields, 0)
            self._tally.append((one.record.partition() or 0, 0, 0, -len(order["items"])))
        if order["paid"] and order["reserved"]:
            confirmed = {
                **fields,
                "userId": order["userId"],
                "totalAmount": order["total"],
                "currency": order["currency"],
                "contact": order["contact"],
            }
            self._add(outputs, one, order, "OrderConfirmed", confirmed, 1)
            self._tally.append((one.record.partition() or 0, 0, 1, 0))
            del self._orders[order["orderId"]]

    def _add(
        self,
        outputs: Outputs,
        one: Input,
        order: dict[str, Any],
        name: str,
        fields: dict[str, Any],
        place: int,
    ) -> None:
        order["version"] += 1
        self.changed[order["orderId"]] = order
        outputs.add("order.events", name, one.key, fields, one, order["version"], place)
        where = (one.record.topic(), one.record.partition(), one.record.offset())
        self._timeline.append(
            (
                order["orderId"],
                order["version"],
                order["userId"],
                name,
                outputs.millis,
                one.told.get("ce_id"),
                *where,
                encode(fields).decode(),
            )
        )

    def keep_more(self) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._timeline
        )
        self.db.executemany(
            LIST,
            [
                (
                    order["orderId"],
                    0,
                    order["at"],
                    order["userId"],
                    "CONFIRMED" if order["paid"] and order["reserved"] else "CREATED",
                    "PAID" if order["paid"] else "PENDING",
                )
                for order in self.changed.values()
            ],
        )
        self.db.executemany(TALLY, self._tally)
        self._timeline.clear()
        self._tally.clear()
