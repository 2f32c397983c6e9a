"""Downcasting: what a message says in an older major version, for readers that know no other.

A function gets a record of the latest version and completes the fields that the older one has. It raises
Unrepresentable if the older version cannot say what the record says: a part of an order is never written as if it
were all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventbus import Unrepresentable

Record = dict[str, Any]
Downcast = Callable[[Record], Record]


def _only_product(record: Record) -> Record:
    """Version 1 knows one product and its quantity.

    Several lines of one product have no version 1 either: ``productId`` of version 2 is null for them, so a reader of
    version 1 that reads the log of version 2 fails on them as well.
    """
    lines = record["items"]
    if len(lines) != 1:
        raise Unrepresentable(f"version 1 holds an order of one item, and this one has {len(lines)}")
    return {**record, "productId": lines[0]["productId"], "quantity": lines[0]["quantity"]}


DOWNCASTS: dict[tuple[str, int], Downcast] = {
    ("OrderCreated", 1): _only_product,
    ("PaymentFailed", 1): _only_product,
    ("InventoryFailed", 1): _only_product,
}
