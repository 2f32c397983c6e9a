"""What a report of payment or inventory leads to.

A report that contradicts its order (another amount, other items, or no such order: payment and inventory start from
OrderCreated) is not possible under these rules. It is not recorded, since it would pay the order. It is not dropped,
since it may be about real money. It becomes a dead letter, where a person sees it. No message waits for it, and the
genuine report is applied when it comes.
"""

from __future__ import annotations

from eventbus import Message, Mismatch, Poison
from schemas import (
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    OrderConfirmed,
    OrderFailed,
    OrderPaid,
    OrderPaymentFailed,
    OrderPaymentVoided,
    OrderRefunded,
    OrderReleased,
    OrderReservationFailed,
    OrderReserved,
    OrderShipped,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentVoided,
)
from services.order.contradiction import contradiction
from services.order.state import OPEN, Inventory, Order, Payment, Status, evolve

REPORTS: tuple[type[Message], ...] = (
    PaymentSucceeded,
    PaymentFailed,
    PaymentRefunded,
    PaymentVoided,
    InventoryReserved,
    InventoryFailed,
    InventoryReleased,
    InventoryShipped,
)


def record_report(report: Message, order: Order) -> list[Message]:
    """Record what payment or inventory reported, and settle the order if that decides its end.

    Raises Mismatch for a report that contradicts its order.
    """
    if order.status is Status.NEW:
        raise Mismatch(
            f"{report.name} for order {report.key!r}, which was never created: find out who sent it"
        )
    if wrong := contradiction(report, order):
        raise Mismatch(f"{report.name} of order {report.key!r} {wrong}: find out who sent it")
    fact = _fact(report)
    if fact.name in order.facts:
        return []
    if order.status not in OPEN:
        return [fact]
    return [fact, *_settle(report, evolve(order, fact))]


def _fact(report: Message) -> Message:
    match report:
        case PaymentSucceeded(order_id=key):
            return OrderPaid(order_id=key, amount=report.amount, currency=report.currency)
        case PaymentFailed(order_id=key):
            return OrderPaymentFailed(order_id=key, reason=report.reason)
        case PaymentRefunded(order_id=key):
            return OrderRefunded(order_id=key, amount=report.amount, currency=report.currency)
        case PaymentVoided(order_id=key):
            return OrderPaymentVoided(order_id=key)
        case InventoryReserved(order_id=key):
            return OrderReserved(order_id=key)
        case InventoryFailed(order_id=key):
            return OrderReservationFailed(
                order_id=key,
                reason=report.reason,
                product_id=report.product_id,
                available_qty=report.available_qty,
            )
        case InventoryReleased(order_id=key):
            return OrderReleased(order_id=key)
        case InventoryShipped(order_id=key):
            return OrderShipped(order_id=key)
    raise Poison(f"{report.name} is no message that the order service handles")


def _settle(report: Message, order: Order) -> list[Message]:
    """The end of an open order: at once on the first bad report, else when both branches are good."""
    match report:
        case PaymentFailed():
            return [_failed(report, order, "PAYMENT", report.reason)]
        case InventoryFailed():
            return [_failed(report, order, "INVENTORY", report.reason)]
        case PaymentVoided():
            return [_failed(report, order, "PAYMENT", report.reason)]
        case PaymentRefunded():
            return [_failed(report, order, "PAYMENT", "the payment was given back")]
        case InventoryReleased():
            return [_failed(report, order, "INVENTORY", "the reservation was given back")]
    held = order.inventory in (Inventory.RESERVED, Inventory.SHIPPED)
    if order.payment is Payment.PAID and order.unpriced:
        return [_failed(report, order, "PAYMENT", "it was taken as paid, but it names no price")]
    if order.payment is Payment.PAID and held:
        return [
            OrderConfirmed(
                order_id=report.key,
                user_id=order.user_id,
                total_amount=order.total_amount,
                currency=order.currency,
                contact=order.contact,
            )
        ]
    return []


def _failed(report: Message, order: Order, stage: str, reason: str) -> OrderFailed:
    return OrderFailed(
        order_id=report.key, user_id=order.user_id, stage=stage, reason=reason, contact=order.contact
    )
