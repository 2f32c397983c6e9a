"""Bodies of POST /orders, and the reports that confirm an order."""

from __future__ import annotations

from schemas import InventoryReserved, PaymentSucceeded
from tests.unit.order.memory_bus import MemoryBus

ONE = {"userId": "anne", "productId": "cup", "quantity": 2}
MANY = {
    "userId": "anne",
    "items": [
        {"productId": "cup", "quantity": 2, "unitPrice": "2.55"},
        {"productId": "plate", "quantity": 1},
    ],
    "currency": "GBP",
    "paymentMethod": "tok_flaky",
    "contact": {"email": "anne@example.org"},
}


def confirm(bus: MemoryBus, order_id: str) -> None:
    entry = bus.read(bus.decider, order_id)
    assert entry is not None
    order = entry.state
    money = {"amount": order.total_amount, "currency": order.currency}
    bus.happens(PaymentSucceeded(order_id=order_id, user_id="anne", **money))
    bus.happens(InventoryReserved(order_id=order_id, user_id="anne", items=order.items))
