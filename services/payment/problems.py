"""The problem that only payment answers; ``/problems/<name>`` explains it."""

from __future__ import annotations

from eventbus.http import ProblemType

PAYMENT_NOT_FOUND = ProblemType(
    "payment-not-found",
    404,
    "Unknown payment",
    "This replica knows of no payment of this order. It may not have read of the order yet, or there is none.",
    "Ask the order service whether there is such an order; if so, ask here again in a moment.",
    "Yes.",
    {"detail": "nothing is known of a payment for order 5013e32a-78d8-583b-9096-bc5c8a2a3005"},
)
