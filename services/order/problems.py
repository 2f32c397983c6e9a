"""The problems that only the order service answers; ``/problems/<name>`` explains each."""

from __future__ import annotations

from eventbus.http import AFTER_A_WAIT, NOTHING_WAS_DONE, ProblemType

_FOREVER = "It does no harm, and is answered the same again. Nothing was done."

ORDER_NOT_FOUND = ProblemType(
    "order-not-found",
    404,
    "Order not found",
    "There is no such order. This replica had decided every command that was sent before your question.",
    "Compare the id with the `orderId` of the answer that accepted the order.",
    NOTHING_WAS_DONE,
    {"detail": "There is no order '5013e32a-78d8-583b-9096-bc5c8a2a3005'."},
)
NO_SUCH_PAST = ProblemType(
    "no-such-past",
    404,
    "No such past",
    "The order has no event of the version that `asOf` names, or had none yet at that instant.",
    "Read its timeline (`GET /orders/{orderId}/events`): it has the version and the time of each event.",
    NOTHING_WAS_DONE,
    {"detail": "Order '5013e32a-78d8-583b-9096-bc5c8a2a3005' has no event of 7 or before."},
)
UNKNOWN_POSITION = ProblemType(
    "unknown-position",
    400,
    "Unknown position",
    "`Last-Event-ID`, or `lastEventId`, is no position of this stream. Those of one order are versions; those of a "
    "user have an offset for each partition.",
    "Send an `id` as it came from a stream at the same address, or none to begin anew.",
    NOTHING_WAS_DONE,
    {
        "detail": "Last-Event-ID: 'x' is no position of this stream",
        "errors": [{"field": "Last-Event-ID", "message": "is no position of this stream"}],
    },
)
ORDER_CANNOT_BE_CANCELLED = ProblemType(
    "order-cannot-be-cancelled",
    409,
    "Order cannot be cancelled",
    "The order was completed, or has failed. `orderStatus` is its status, `reason` says why that stands in the way.",
    "Show the order as it is. Goods that were handed over come back by other ways.",
    _FOREVER,
    {"detail": "the order is completed", "orderStatus": "COMPLETED", "reason": "the order is completed"},
)
ORDER_CANNOT_BE_COMPLETED = ProblemType(
    "order-cannot-be-completed",
    409,
    "Order cannot be completed",
    "Only a confirmed order can be completed. `orderStatus` is its status, `reason` says why that is in the way.",
    "Wait until it is CONFIRMED (`GET /orders/{orderId}?wait=5`). One that failed or was cancelled never will be.",
    "Yes, once the order is confirmed, without an `Idempotency-Key` or with another one. Nothing was done.",
    {
        "detail": "the order is not confirmed yet",
        "orderStatus": "CREATED",
        "reason": "the order is not confirmed yet",
    },
)
TOO_MANY_ORDERS = ProblemType(
    "too-many-orders",
    429,
    "Too many orders",
    "Orders come faster than they are settled. New ones are refused until enough of those before them are.",
    "Wait for the seconds that `Retry-After` names, then send the order again.",
    AFTER_A_WAIT,
    {"detail": "1200 orders are open, and 40 are settled a second. Ask again in 3 s."},
)
