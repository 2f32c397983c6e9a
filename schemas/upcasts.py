"""Upcasting: what Avro resolution alone cannot do for a message of an older version.

A body is first resolved to the latest schema of its message: new fields get their defaults. Then the function for the
version it was *written* in completes it. So each function leads directly to the latest version, and whoever adds a
version must check every function of that message. Bodies keep the
``version`` they were written with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.money import NO_CURRENCY

Record = dict[str, Any]
Upcast = Callable[[Record], Record]


def _one_product(record: Record) -> Record:
    """Version 1 knew one product, which becomes the only item. Its ``unitPrice`` is 0 because no price is known."""
    item = {"productId": record["productId"], "quantity": record["quantity"], "unitPrice": 0}
    return {**record, "items": [item]}


def _one_product_without_price(record: Record) -> Record:
    """Version 1 knew no money: there is no currency, and amounts without one say nothing."""
    return {**_one_product(record), "currency": NO_CURRENCY}


UPCASTS: dict[tuple[str, int], Upcast] = {
    ("OrderCreated", 1): _one_product_without_price,
    ("PaymentFailed", 1): _one_product_without_price,
    ("InventoryFailed", 1): _one_product,
}


def upcast(name: str, version: int, record: Record) -> Record:
    """``record`` (camelCase, resolved to the latest schema) as the latest version means it.

    ``version`` is the one it was written in. Returns a new dict where there is something to do;
    ``record`` is never changed, since Avro defaults in it may be shared between records.
    """
    function = UPCASTS.get((name, version))
    return record if function is None else function(record)
