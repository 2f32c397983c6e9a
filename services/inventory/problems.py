"""The problems that only inventory answers; ``/problems/<name>`` explains each."""

from __future__ import annotations

from eventbus.http import NOTHING_WAS_DONE, ProblemType

PRODUCT_NOT_FOUND = ProblemType(
    "product-not-found",
    404,
    "Unknown product",
    "No stock of this product was ever recorded. This replica had decided every adjustment that was sent before.",
    "Compare the id, which is taken letter by letter. The first delivery of a product makes it known.",
    NOTHING_WAS_DONE,
    {"detail": "no stock of 'demo-widgets' was ever recorded"},
)
NOT_ENOUGH_STOCK = ProblemType(
    "not-enough-stock",
    409,
    "Stock was not adjusted",
    "The adjustment takes away more pieces than are available. `availableQty` says how many there are.",
    "Take away at most that many. Pieces that are held for orders come back when an order is cancelled or fails.",
    "Yes, with another `Idempotency-Key`: the answer to this key stays. Nothing was done.",
    {"detail": "only 3 are available", "productId": "demo-widget", "availableQty": 3},
)
NOT_DECIDED_IN_TIME = ProblemType(
    "adjustment-not-decided-in-time",
    503,
    "Not decided in time",
    "The adjustment is durable, and will be decided, but it was not within the time that an answer may take.",
    "Send it again with the same `Idempotency-Key` for its answer, after the seconds that `Retry-After` names.",
    "With an `Idempotency-Key`: yes, with the same key. Without one it may then be made twice: look at the stock "
    "first.",
    {"detail": "stock.commands-3-17: repeat the request with the same Idempotency-Key"},
)
NOT_DECIDED = ProblemType(
    "adjustment-not-decided",
    503,
    "Not decided",
    "The adjustment became a dead letter, or an operator set it aside. It was not made, and waits for a person.",
    "Tell those who run the service what `detail` says: where the adjustment stands in its topic.",
    "No: it may be put back to work, and then both would be made.",
    {"detail": "stock.commands-3-17 became a dead letter, or an operator set it aside"},
)
