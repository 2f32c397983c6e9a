"""The bare inventory service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import Message

from bench.bare.flow.records import Output, Outputs, inputs
from bench.bare.flow.service import Service

STOCK = 10_000_000
"""Pieces of every product at first."""


class Inventory(Service):
    """Takes the products of each order from the stock."""

    reads = ("order.events",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stock: dict[str, tuple[int, int]] = {}
        """By product, pieces that are there, and events so far."""

    def decide(self, batch: Sequence[Message]) -> Sequence[Output]:
        outputs = Outputs("inventory")
        for one in inputs(batch, ("OrderCreated",)):
            order = one.fields
            reservation = {name: order[name] for name in ("orderId", "userId", "items")}
            started = {**reservation, "contact": order["contact"]}
            outputs.add("inventory.events", "ReservationStarted", one.key, started, one, 1, 0)
            version = 1
            for place, item in enumerate(order["items"]):
                product, quantity = item["productId"], item["quantity"]
                available, events = self._stock.get(product, (STOCK, 0))
                available, events = self._stock[product] = self.changed[product] = (
                    available - quantity,
                    events + 1,
                )
                reserved = {"orderId": order["orderId"], "productId": product, "quantity": quantity}
                taken = {**reserved, "availableQty": available}
                outputs.add("stock.events", "StockReserved", product.encode(), taken, one, events, place)
                version += 1
                outputs.add("inventory.events", "ProductReserved", one.key, reserved, one, version, place)
            outputs.add("inventory.events", "InventoryReserved", one.key, reservation, one, version + 1, 0)
            self.changed[order["orderId"]] = reservation
        return outputs
