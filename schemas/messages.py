"""The messages of all services, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Command, Event, Int32, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where a customer can be reached."""

    email: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of an order: so many of a product at a price."""

    product_id: str
    quantity: Int32
    unit_price: int


@message(topic="inventory.answers", key="order_id", schema="StockAnswered.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockAnswered(Event):
    """What became of one product of an order: the stock half's answer to the order half."""

    order_id: str
    product_id: str
    outcome: str
    quantity: Int32
    available_qty: Int32
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="InventoryFailed.v2.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryFailed(Event):
    """An order could not be reserved: at least one product is short."""

    order_id: str
    user_id: str
    product_id: str
    quantity: Int32
    available_qty: Int32
    reason: str
    timestamp: int = 0
    version: str = "2.1"
    items: tuple[Item, ...] = ()
    contact: Contact | None = None


@message(topic="inventory.events", key="order_id", schema="InventoryReleased.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryReleased(Event):
    """Every product of the order has answered: nothing is held any more."""

    order_id: str
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="InventoryReserved.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryReserved(Event):
    """All items of the order are held."""

    order_id: str
    user_id: str
    items: tuple[Item, ...]
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="InventoryShipped.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryShipped(Event):
    """Every product of the order has answered: the goods have left."""

    order_id: str
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ProductRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRefused(Event):
    """One product of the order is short and is not held."""

    order_id: str
    product_id: str
    quantity: Int32
    available_qty: Int32
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ProductReleased.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductReleased(Event):
    """One product of the order is no longer held."""

    order_id: str
    product_id: str
    quantity: Int32
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ProductReserved.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductReserved(Event):
    """One product of the order is held."""

    order_id: str
    product_id: str
    quantity: Int32
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ProductShipped.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductShipped(Event):
    """One product of the order has left the stock."""

    order_id: str
    product_id: str
    quantity: Int32
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ReleaseStarted.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStarted(Event):
    """The release of what is held for the order has begun; each product is asked for."""

    order_id: str
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ReservationStarted.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationStarted(Event):
    """The reservation of an order's items has begun; each product is asked for."""

    order_id: str
    user_id: str
    items: tuple[Item, ...]
    contact: Contact | None = None
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ReservationVoided.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationVoided(Event):
    """The order ended before its reservation began: nothing is held and nothing will be."""

    order_id: str
    timestamp: int = 0


@message(topic="inventory.events", key="order_id", schema="ShipmentStarted.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentStarted(Event):
    """The shipment of what is held for the order has begun; each product is asked for."""

    order_id: str
    timestamp: int = 0


@message(topic="notification.events", key="order_id", schema="NotificationDelayed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationDelayed(Event):
    """Some channels have told the customer of an event, and the others could not: these try again."""

    order_id: str
    kind: str
    message_id: str
    channels: tuple[str, ...]
    reason: str
    timestamp: int = 0


@message(topic="notification.events", key="order_id", schema="NotificationFailed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFailed(Event):
    """A channel will never tell the customer of an event: it refused for good, or its tries are used up."""

    order_id: str
    kind: str
    message_id: str
    channel: str
    recipient: str | None = None
    reason: str
    timestamp: int = 0


@message(topic="notification.events", key="order_id", schema="NotificationSent.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSent(Event):
    """The customer was told of an event."""

    order_id: str
    kind: str
    message_id: str
    channel: str
    recipient: str | None = None
    language: str | None = None
    timestamp: int = 0


@message(topic="notification.events", key="order_id", schema="NotificationSkipped.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSkipped(Event):
    """The customer could not be told of an event."""

    order_id: str
    kind: str
    message_id: str
    channel: str
    reason: str
    timestamp: int = 0


@message(topic="order.commands", key="order_id", schema="CancelOrder.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Command):
    """Asks to cancel an order that is not completed yet."""

    order_id: str
    reason: str | None = None
    timestamp: int = 0


@message(topic="order.commands", key="order_id", schema="CompleteOrder.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteOrder(Command):
    """Asks to complete a confirmed order: its goods were handed over."""

    order_id: str
    timestamp: int = 0


@message(topic="order.commands", key="order_id", schema="CreateOrder.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder(Command):
    """Asks for a new order."""

    order_id: str
    user_id: str
    items: tuple[Item, ...]
    currency: str
    payment_method: str = "tok_ok"
    contact: Contact | None = None
    fingerprint: str = ""
    deadline_at: int | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="CancelRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRefused(Event):
    """A CancelOrder came when the order could not be cancelled."""

    order_id: str
    status: str
    reason: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="CommandRepeated.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRepeated(Event):
    """A command came again after it had been answered; nothing changed."""

    order_id: str
    command: str
    identical: bool = True
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="CompleteRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteRefused(Event):
    """A CompleteOrder came when the order could not be completed."""

    order_id: str
    status: str
    reason: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderCancelled.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(Event):
    """The order was cancelled; what was done for it is undone."""

    order_id: str
    user_id: str
    reason: str | None = None
    contact: Contact | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderCompleted.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCompleted(Event):
    """The goods were handed over; the order has reached its end."""

    order_id: str
    user_id: str
    contact: Contact | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderConfirmed.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed(Event):
    """The order is paid and its items are held: it will be fulfilled."""

    order_id: str
    user_id: str
    total_amount: int
    currency: str
    contact: Contact | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderCreated.v2.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCreated(Event):
    """An order was accepted; payment and inventory start from here."""

    order_id: str
    user_id: str
    product_id: str | None = None
    quantity: Int32 | None = None
    timestamp: int = 0
    version: str = "2.1"
    items: tuple[Item, ...] = ()
    currency: str = "GBP"
    total_amount: int = 0
    payment_method: str = "tok_ok"
    contact: Contact | None = None
    fingerprint: str = ""
    deadline_at: int | None = None


@message(topic="order.events", key="order_id", schema="OrderFailed.v1.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFailed(Event):
    """The order has ended without success; what was done for it is undone."""

    order_id: str
    user_id: str
    stage: str
    reason: str
    contact: Contact | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderPaid.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid(Event):
    """Payment has answered: the order is paid."""

    order_id: str
    amount: int
    currency: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderPaymentFailed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaymentFailed(Event):
    """Payment has answered: the order could not be paid."""

    order_id: str
    reason: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderPaymentVoided.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaymentVoided(Event):
    """Payment has answered: nothing was charged and nothing will be."""

    order_id: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderRefunded.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefunded(Event):
    """Payment has answered: what was charged was given back."""

    order_id: str
    amount: int
    currency: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused(Event):
    """A CreateOrder broke a rule: there is no such order."""

    order_id: str
    user_id: str
    reason: str
    field: str | None = None
    fingerprint: str = ""
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderReleased.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased(Event):
    """Inventory has answered: nothing is held for the order any more."""

    order_id: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderReservationFailed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReservationFailed(Event):
    """Inventory has answered: the items could not be held."""

    order_id: str
    reason: str
    product_id: str | None = None
    available_qty: Int32 | None = None
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderReserved.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReserved(Event):
    """Inventory has answered: all items are held for the order."""

    order_id: str
    timestamp: int = 0


@message(topic="order.events", key="order_id", schema="OrderShipped.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShipped(Event):
    """Inventory has answered: the goods of the order have left."""

    order_id: str
    timestamp: int = 0


@message(topic="payment.events", key="order_id", schema="ChargeUnresolved.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeUnresolved(Event):
    """The gateway gave no answer to a charge: whether money moved is not known yet."""

    order_id: str
    timestamp: int = 0


@message(topic="payment.events", key="order_id", schema="ChargeWithdrawn.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeWithdrawn(Event):
    """A charge whose outcome was unknown is known never to have moved money, nor ever to do so."""

    order_id: str
    timestamp: int = 0


@message(topic="payment.events", key="order_id", schema="PaymentFailed.v2.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed(Event):
    """The payment of an order failed for good."""

    order_id: str
    user_id: str
    product_id: str | None = None
    quantity: Int32 | None = None
    reason: str
    timestamp: int = 0
    version: str = "2.1"
    items: tuple[Item, ...] = ()
    amount: int = 0
    currency: str = "GBP"
    contact: Contact | None = None


@message(topic="payment.events", key="order_id", schema="PaymentRefunded.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded(Event):
    """What was charged for the order was given back."""

    order_id: str
    amount: int
    currency: str
    refund_id: str | None = None
    timestamp: int = 0


@message(topic="payment.events", key="order_id", schema="PaymentSucceeded.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSucceeded(Event):
    """The order was charged (or there was nothing to charge)."""

    order_id: str
    user_id: str
    amount: int
    currency: str
    charge_id: str | None = None
    timestamp: int = 0


@message(topic="payment.events", key="order_id", schema="PaymentVoided.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided(Event):
    """The order ended before it was charged: nothing was charged and nothing will be."""

    order_id: str
    reason: str
    timestamp: int = 0


@message(topic="stock.commands", key="product_id", schema="AdjustStock.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustStock(Command):
    """Asks to change the available quantity of a product."""

    product_id: str
    quantity: Int32
    reason: str
    adjustment_id: str | None = None
    fingerprint: str = ""
    timestamp: int = 0


@message(topic="stock.commands", key="product_id", schema="ReleaseStock.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStock(Command):
    """Asks to give back what is held of a product for an order."""

    product_id: str
    order_id: str
    timestamp: int = 0


@message(topic="stock.commands", key="product_id", schema="ReserveStock.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveStock(Command):
    """Asks to hold some of a product for an order."""

    product_id: str
    order_id: str
    quantity: Int32
    timestamp: int = 0


@message(topic="stock.commands", key="product_id", schema="ShipStock.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShipStock(Command):
    """Asks to take out of the stock what is held of a product for an order."""

    product_id: str
    order_id: str
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockAdjusted.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockAdjusted(Event):
    """The available quantity of a product was changed."""

    product_id: str
    quantity: Int32
    reason: str
    available_qty: Int32
    adjustment_id: str | None = None
    fingerprint: str = ""
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockRefused(Event):
    """A command to the stock of a product was refused; nothing changed."""

    product_id: str
    order_id: str | None = None
    command: str
    quantity: Int32
    available_qty: Int32
    reason: str
    adjustment_id: str | None = None
    identical: bool | None = None
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockReleased.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockReleased(Event):
    """What was held of a product for an order was given back."""

    product_id: str
    order_id: str
    quantity: Int32
    available_qty: Int32
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockRepeated.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockRepeated(Event):
    """An adjustment came again after it had been answered; nothing changed."""

    product_id: str
    adjustment_id: str
    identical: bool
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockReserved.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockReserved(Event):
    """Some of a product is held for an order."""

    product_id: str
    order_id: str
    quantity: Int32
    available_qty: Int32
    timestamp: int = 0


@message(topic="stock.events", key="product_id", schema="StockShipped.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class StockShipped(Event):
    """What was held of a product for an order has left the stock."""

    product_id: str
    order_id: str
    quantity: Int32
    available_qty: Int32
    timestamp: int = 0
