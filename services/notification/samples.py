"""An event of each kind, with and without what may be missing: what templates are tried with at the start."""

from __future__ import annotations

from dataclasses import replace

from schemas import (
    InventoryFailed,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
)
from services.notification.request import Input
from services.notification.values import MOST_ITEMS

_ORDER = "5013e32a-78d8-583b-9096-bc5c8a2a3005"
_TIME = 1_767_607_200_000
_CUP = Item(product_id="cup", quantity=1_200, unit_price=255)
_CREATED = OrderCreated(
    order_id=_ORDER, user_id="u1", items=(_CUP,), currency="GBP", total_amount=306_000, timestamp=_TIME
)
_CONFIRMED = OrderConfirmed(
    order_id=_ORDER, user_id="u1", total_amount=306_000, currency="GBP", timestamp=_TIME
)
_DECLINED = PaymentFailed(
    order_id=_ORDER, user_id="u1", reason="card declined", amount=306_000, currency="GBP", timestamp=_TIME
)
_CANCELLED = OrderCancelled(order_id=_ORDER, user_id="u1", reason="ordered twice", timestamp=_TIME)
_EXPIRED = OrderFailed(
    order_id=_ORDER,
    user_id="u1",
    stage="EXPIRED",
    reason="it was not settled by its deadline",
    timestamp=_TIME,
)

SAMPLES: tuple[Input, ...] = (
    _CREATED,
    replace(_CREATED, items=(_CUP,) * (MOST_ITEMS + 1), total_amount=306_000 * (MOST_ITEMS + 1)),
    replace(_CREATED, items=(), currency="", total_amount=0, timestamp=0),
    _CONFIRMED,
    replace(_CONFIRMED, currency="", total_amount=0, timestamp=0),
    _DECLINED,
    replace(_DECLINED, reason="", currency="", amount=0, timestamp=0),
    InventoryFailed(
        order_id=_ORDER,
        user_id="u1",
        product_id="cup",
        quantity=1_200,
        available_qty=3,
        reason="Insufficient inventory",
        timestamp=_TIME,
    ),
    _CANCELLED,
    replace(_CANCELLED, reason="", timestamp=0),
    OrderCompleted(order_id=_ORDER, user_id="u1", timestamp=_TIME),
    _EXPIRED,
    replace(_EXPIRED, reason="", timestamp=0),
)
KINDS = tuple(dict.fromkeys(sample.name for sample in SAMPLES))
"""The kinds of events that customers are notified of."""
