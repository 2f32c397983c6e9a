"""What hostile records are made from: messages that are right in form and do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.admin import Redrive
from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Message
from schemas import (
    AdjustStock,
    ChargeWithdrawn,
    CreateOrder,
    InventoryFailed,
    Item,
    NotificationSkipped,
    OrderCreated,
    OrderPaid,
    PaymentFailed,
    ReleaseStarted,
    StockAnswered,
    StockRepeated,
)
from verification.hostile.record import Header, Hostile


@dataclass(frozen=True)
class Case:
    """What a kind is made from: its topic, an id nobody has used, and how to write messages."""

    topic: str
    id: str
    codec: Codec
    partitions: int

    def placed(self, key: bytes, value: bytes | None, *headers: Header) -> Hostile:
        """A record of that key where it belongs."""
        return Hostile("", self.topic, partition_of(key, self.partitions), key, value, headers)

    def sound(self, id: str = "", compression: str = "none") -> Hostile:
        """A message that is right in form and does no harm: a command, a report about nothing, an unheard event."""
        message = harmless(self.topic, id or self.id)
        record = self.placed(message.key.encode(), self.codec.encode(message), type_header(message))
        return record.but(compression=compression)

    def heard(self) -> Hostile:
        """A message that those who read the topic take; a kind must break it."""
        message = subscribed(self.topic, self.id)
        return self.placed(message.key.encode(), self.codec.encode(message), type_header(message))


def type_header(message: Message) -> Header:
    return b"ce_type", message.name.encode()


def subscribed(topic: str, id: str) -> Message:
    if topic == "order.events":
        item = Item(product_id=id, quantity=1, unit_price=1)
        return OrderCreated(order_id=id, user_id="eve", items=(item,), currency="GBP", total_amount=1)
    return harmless(topic, id)


def harmless(topic: str, id: str) -> Message:
    """Of products and orders that nobody has: what is asked for is refused, what is reported concerns nobody."""
    match topic:
        case "order.commands":
            item = Item(product_id=id, quantity=1, unit_price=1)
            return CreateOrder(order_id=id, user_id="eve", items=(item,), currency="GBP")
        case "order.events":
            return OrderPaid(order_id=id, amount=1, currency="GBP")
        case "payment.events":
            return PaymentFailed(order_id=id, user_id="eve", reason="forged")
        case "inventory.events":
            return InventoryFailed(
                order_id=id, user_id="eve", product_id=id, quantity=1, available_qty=0, reason="forged"
            )
        case "inventory.answers":
            return StockAnswered(order_id=id, product_id=id, outcome="REFUSED", quantity=1, available_qty=0)
        case "stock.commands":
            return AdjustStock(product_id=id, quantity=1, reason="forged")
    return Redrive(message_key=id)


def unheard(topic: str, id: str) -> Message:
    """An event of a log that no other service takes."""
    match topic:
        case "order.events":
            return OrderPaid(order_id=id, amount=1, currency="GBP")
        case "payment.events":
            return ChargeWithdrawn(order_id=id)
        case "inventory.events":
            return ReleaseStarted(order_id=id)
        case "stock.events":
            return StockRepeated(product_id=id, adjustment_id=id, identical=True)
    return NotificationSkipped(order_id=id, kind="forged", message_id=id, channel="log", reason="forged")
