"""The history of one order, from the three logs about it, and the steps that each log may take.

These tables are the audit's own and use no code of a service, so a bug in a service shows here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Steps = Mapping[tuple[str, str], str]

OPEN = ("CREATED", "PROCESSING")
GOOD = ("CONFIRMED", "COMPLETED")
BAD = ("FAILED", "CANCELLED")

FACTS = {
    "OrderPaid": "PaymentSucceeded",
    "OrderPaymentFailed": "PaymentFailed",
    "OrderRefunded": "PaymentRefunded",
    "OrderPaymentVoided": "PaymentVoided",
    "OrderReserved": "InventoryReserved",
    "OrderReservationFailed": "InventoryFailed",
    "OrderReleased": "InventoryReleased",
    "OrderShipped": "InventoryShipped",
}
"""What order records, and the report of payment or inventory that it records; each once an order."""

ANSWERS = ("CommandRepeated", "CancelRefused", "CompleteRefused")
"""Events that answer a command and change nothing; legal at any time, any number of times."""

REPEATS = 20
"""After so many of them, a command that changes nothing need leave no event."""

ONCE = {
    "OrderCreated",
    "OrderRefused",
    "OrderConfirmed",
    "OrderCompleted",
    "OrderFailed",
    "OrderCancelled",
    *FACTS,
}
"""Events of ``order.events`` that an order has at most one of."""

ORDER: Steps = {
    ("NEW", "OrderCreated"): "CREATED",
    ("NEW", "OrderRefused"): "REFUSED",
    **{("CREATED", fact): "PROCESSING" for fact in FACTS},
    **{(s, fact): s for s in ("PROCESSING", *GOOD, *BAD) for fact in FACTS},
    ("PROCESSING", "OrderConfirmed"): "CONFIRMED",
    **{(s, "OrderFailed"): "FAILED" for s in OPEN},
    **{(s, "OrderCancelled"): "CANCELLED" for s in (*OPEN, "CONFIRMED")},
    ("CONFIRMED", "OrderCompleted"): "COMPLETED",
}

PAYMENT: Steps = {
    ("NEW", "PaymentSucceeded"): "PAID",
    ("NEW", "PaymentFailed"): "FAILED",
    ("NEW", "PaymentVoided"): "VOIDED",
    ("PAID", "PaymentRefunded"): "REFUNDED",
    **{(s, "ChargeUnresolved"): f"{s}?" for s in ("NEW", "FAILED", "VOIDED")},
    ("NEW?", "PaymentSucceeded"): "PAID",
    ("NEW?", "PaymentFailed"): "FAILED",
    ("NEW?", "PaymentVoided"): "VOIDED?",
    **{(s, "ChargeWithdrawn"): s.rstrip("?") for s in ("FAILED?", "VOIDED", "VOIDED?")},
    **{(s, "PaymentSucceeded"): "PAID" for s in ("FAILED?", "VOIDED", "VOIDED?")},
}
"""A question mark: a charge got no answer, so whether money moved is still to be found out."""

PROGRESS = ("ProductReserved", "ProductRefused", "ProductReleased", "ProductShipped")
"""One product's part in a reservation; legal at any time, since answers may come late."""

INVENTORY: Steps = {
    ("NEW", "ReservationStarted"): "RESERVING",
    ("NEW", "ReservationVoided"): "VOIDED",
    ("RESERVING", "InventoryReserved"): "RESERVED",
    ("RESERVING", "InventoryFailed"): "SHORT",
    ("RESERVING", "ReleaseStarted"): "RELEASING",
    ("SHORT", "ReleaseStarted"): "RELEASING",
    ("RESERVED", "ReleaseStarted"): "RELEASING",
    ("RELEASING", "InventoryReleased"): "RELEASED",
    ("RESERVED", "ShipmentStarted"): "SHIPPING",
    ("SHIPPING", "InventoryShipped"): "SHIPPED",
}

STEPS: Mapping[str, Steps] = {"order.events": ORDER, "payment.events": PAYMENT, "inventory.events": INVENTORY}
ANY_TIME: Mapping[str, tuple[str, ...]] = {
    "order.events": ANSWERS,
    "payment.events": (),
    "inventory.events": PROGRESS,
}


@dataclass(slots=True)
class OrderHistory:
    """One order. Amounts are minor units of ``currency``, times ms since epoch (UTC).

    ``wanted`` is what was ordered, by product; ``stock`` is what is held for it and what has left, by product.
    ``charge`` and ``refund`` are the gateway's ids of what payment says was moved, None where nothing had to be.
    """

    order: str = "NEW"
    payment: str = "NEW"
    inventory: str = "NEW"
    currency: str = ""
    total: int = 0
    since: int = 0
    wanted: dict[str, int] = field(default_factory=dict)
    stock: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    charged: int = 0
    refunded: int = 0
    paid_in: str = ""
    charge: str | None = None
    refund: str | None = None

    def state(self, log: str) -> str:
        """Where the order stands by one of the three logs."""
        return {"order.events": self.order, "payment.events": self.payment}.get(log, self.inventory)

    def move(self, log: str, state: str) -> None:
        if log == "order.events":
            self.order = state
        elif log == "payment.events":
            self.payment = state
        else:
            self.inventory = state


def next_state(log: str, state: str, event: str) -> str | None:
    """Where ``event`` leads from ``state``; None if it is not legal there."""
    if event in ANY_TIME[log]:
        return state
    return STEPS[log].get((state, event))
