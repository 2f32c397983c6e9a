"""Orders and messages that the tests of order talk about."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from eventbus import Message
from schemas import (
    CancelOrder,
    CompleteOrder,
    Contact,
    CreateOrder,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
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
from services.order.decider import order_decider

ANNE = Contact(email="anne@example.org")
CUPS = Item(product_id="cup", quantity=2, unit_price=255)
T0 = 1_700_000_000_000
QUARTER = 900_000

ORDER = order_decider(timedelta(minutes=15))

CREATE = CreateOrder(
    order_id="o1",
    user_id="anne",
    items=(CUPS,),
    currency="GBP",
    payment_method="tok_ok",
    contact=ANNE,
    fingerprint="f1",
    timestamp=T0,
)
CANCEL = CancelOrder(order_id="o1", reason="changed my mind", timestamp=T0)
COMPLETE = CompleteOrder(order_id="o1", timestamp=T0)
SUCCEEDED = PaymentSucceeded(order_id="o1", user_id="anne", amount=510, currency="GBP", charge_id="ch_1")
DECLINED = PaymentFailed(order_id="o1", user_id="anne", reason="card declined", amount=510, currency="GBP")
REFUND = PaymentRefunded(order_id="o1", amount=510, currency="GBP", refund_id="re_1")
VOID = PaymentVoided(order_id="o1", reason="order is settled")
HELD = InventoryReserved(order_id="o1", user_id="anne", items=(CUPS,))
SHORT = InventoryFailed(
    order_id="o1",
    user_id="anne",
    product_id="cup",
    quantity=2,
    available_qty=1,
    reason="Insufficient inventory",
)
GIVEN_BACK = InventoryReleased(order_id="o1")
SENT = InventoryShipped(order_id="o1")
MESSAGES: tuple[Message, ...] = (
    CREATE,
    CANCEL,
    COMPLETE,
    SUCCEEDED,
    DECLINED,
    REFUND,
    VOID,
    HELD,
    SHORT,
    GIVEN_BACK,
    SENT,
)

CREATED = OrderCreated(
    order_id="o1",
    user_id="anne",
    product_id="cup",
    quantity=2,
    items=(CUPS,),
    currency="GBP",
    total_amount=510,
    payment_method="tok_ok",
    contact=ANNE,
    fingerprint="f1",
    deadline_at=T0 + QUARTER,
)
PAID = OrderPaid(order_id="o1", amount=510, currency="GBP")
UNPAID = OrderPaymentFailed(order_id="o1", reason="card declined")
REFUNDED = OrderRefunded(order_id="o1", amount=510, currency="GBP")
VOIDED = OrderPaymentVoided(order_id="o1")
RESERVED = OrderReserved(order_id="o1")
NOT_RESERVED = OrderReservationFailed(
    order_id="o1", reason="Insufficient inventory", product_id="cup", available_qty=1
)
RELEASED = OrderReleased(order_id="o1")
SHIPPED = OrderShipped(order_id="o1")
CONFIRMED = OrderConfirmed(order_id="o1", user_id="anne", total_amount=510, currency="GBP", contact=ANNE)
COMPLETED = OrderCompleted(order_id="o1", user_id="anne", contact=ANNE)
CANCELLED = OrderCancelled(order_id="o1", user_id="anne", reason="changed my mind", contact=ANNE)
FAILED_PAYMENT = OrderFailed(
    order_id="o1", user_id="anne", stage="PAYMENT", reason="card declined", contact=ANNE
)
FAILED_INVENTORY = replace(FAILED_PAYMENT, stage="INVENTORY", reason="Insufficient inventory")
