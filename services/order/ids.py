"""Order ids: sortable by time, or derived from an idempotency key."""

from __future__ import annotations

import hashlib
import json
import time
from uuid import UUID, uuid5

from eventbus import RequestId, random_piece

NAMESPACE = UUID("5b2f8f1e-6f0c-5c0a-9d3e-7a1f4c2b8e90")
"""Never changes: the ids of keyed orders, and so their idempotency, depend on it."""


def random_order_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of ms since epoch, then 74 random bits."""
    head = time.time_ns() // 1_000_000 << 80
    random = int.from_bytes(random_piece()[:10], "big")
    value = head | random & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def keyed_order_id(scope: str, key: str) -> str:
    """The UUIDv5 of an ``Idempotency-Key``; ``scope`` names the caller, so that keys of two callers never collide."""
    return str(uuid5(uuid5(NAMESPACE, scope), key))


def change_id(scope: str, order_id: str, change: str, key: str, *asked: str | None) -> RequestId:
    """The id of a keyed request to change an order. ``change``: CancelOrder or CompleteOrder; ``asked``: its fields.

    The same key asks for another thing of another order, and for another change.
    """
    request = uuid5(uuid5(NAMESPACE, scope), json.dumps([order_id, change, key]))
    return RequestId(str(request), hashlib.sha256(json.dumps(asked).encode()).hexdigest())
