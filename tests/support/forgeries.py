"""Every kind of violation, as a way to falsify the recorded topics of a shop. Each holds what the audit must find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas import (
    OrderPaid,
    PaymentSucceeded,
    PaymentVoided,
    StockReserved,
)
from tests.support.recorded_topics import Alter, RecordedTopics, place_of

PRODUCT = "tea"


def shop(recorded: RecordedTopics) -> None:
    """A shop with one order of each end: o1 confirmed, o2 completed, o3 failed, o4 cancelled."""
    recorded.stock(PRODUCT, 100)
    recorded.confirm("o1", PRODUCT)
    recorded.confirm("o2", PRODUCT)
    recorded.complete("o2", PRODUCT)
    recorded.decline("o3", PRODUCT)
    recorded.confirm("o4", PRODUCT)
    recorded.cancel("o4", PRODUCT)


@dataclass(frozen=True)
class Forgery:
    """``rule`` and ``subject`` are what the audit names; ``says`` stands in what it expected or found."""

    name: str
    rule: str
    subject: str
    says: str
    omit: Sequence[str] = ()
    repeat: Sequence[str] = ()
    alter: dict[str, Alter] = field(default_factory=dict)
    then: Callable[[RecordedTopics], Any] = lambda recorded: None

    def recorded(self, partition_of: Callable[[bytes], int]) -> RecordedTopics:
        """The falsified topics."""
        recorded = RecordedTopics(partition_of, self.omit, self.repeat, self.alter)
        shop(recorded)
        recorded.omit, recorded.repeat, recorded.alter = (), (), {}
        self.then(recorded)
        return recorded


def only(order: str, **change: Any) -> Alter:
    """Alter the message of one order, by its fields."""
    return lambda message: replace(message, **change) if message.order_id == order else message


def no_version(recorded: RecordedTopics) -> None:
    recorded.write(OrderPaid(order_id="o1", amount=200, currency="GBP"))


def wrong_partition(recorded: RecordedTopics) -> None:
    event = OrderPaid(order_id="o1", amount=200, currency="GBP")
    elsewhere = 1 - recorded.partition_of(b"o1")
    recorded.write(event, place_of(recorded.find("payment.events", "o1")), partition=elsewhere)


def gap(recorded: RecordedTopics) -> None:
    created = place_of(recorded.find("order.events", "o3"))
    recorded.write(PaymentVoided(order_id="o3", reason="x"), created, key_version=3)


def same_id(recorded: RecordedTopics) -> None:
    raw = recorded.find("order.events", "o1")
    headers = dict(raw.headers) | {"keyversion": b"5"}
    recorded.put(raw.topic, raw.partition, b"o1", raw.value or b"", list(headers.items()))


def unanswered(recorded: RecordedTopics) -> None:
    raw = recorded.find("order.commands", "o1")
    recorded.put("order.commands", raw.partition, raw.key or b"", raw.value or b"", raw.headers)


def held_for_nobody(recorded: RecordedTopics) -> None:
    recorded.available[PRODUCT] -= 1
    left = recorded.available[PRODUCT]
    event = StockReserved(product_id=PRODUCT, order_id="ghost", quantity=1, available_qty=left)
    recorded.write(event, place_of(recorded.find("stock.commands", PRODUCT)), id="ghost")


def paid_for_nobody(recorded: RecordedTopics) -> None:
    recorded.moved("CHARGE", "ghost", 7)
    event = PaymentSucceeded(
        order_id="ghost", user_id="u", amount=7, currency="GBP", charge_id="CHARGE-ghost"
    )
    recorded.write(event, place_of(recorded.find("order.events", "o1")), id="ghost")


def stuck(recorded: RecordedTopics) -> None:
    recorded.create("o9", PRODUCT)


FORGERIES = (
    Forgery(
        "money that never went back",
        "charged − refunded",
        "o4",
        "payment PAID",
        omit=["PaymentRefunded", "refund"],
    ),
    Forgery(
        "a confirmed order charged too little",
        "charged − refunded",
        "o1",
        "a charge of 200 GBP",
        alter={"PaymentSucceeded": only("o1", amount=150)},
    ),
    Forgery(
        "a confirmed order never charged",
        "charged − refunded",
        "o1",
        "payment NEW",
        omit=["PaymentSucceeded"],
    ),
    Forgery(
        "a refund of another amount",
        "amount refunded",
        "o4",
        "190",
        alter={"PaymentRefunded": only("o4", amount=190)},
    ),
    Forgery("a charge nobody ordered", "one OrderCreated", "ghost", "payment PAID", then=paid_for_nobody),
    Forgery(
        "charged twice at the gateway",
        "charged once",
        "o1",
        "charge:o1:2",
        then=lambda recorded: recorded.moved("CHARGE", "o1", 200, "charge:o1:2"),
    ),
    Forgery(
        "refunded twice at the gateway",
        "charged once",
        "o4",
        "refund:o4:2",
        then=lambda recorded: recorded.moved("REFUND", "o4", 200, "refund:o4:2"),
    ),
    Forgery(
        "a charge the gateway does not know",
        "agrees with the gateway",
        "o2",
        "none",
        then=lambda recorded: recorded.gateway.__delitem__(1),
    ),
    Forgery(
        "a charge the topics do not know",
        "agrees with the gateway",
        "o3",
        "200 GBP",
        then=lambda recorded: recorded.moved("CHARGE", "o3", 200),
    ),
    Forgery(
        "a charge of another amount",
        "agrees with the gateway",
        "o1",
        "201 GBP",
        then=lambda recorded: recorded.gateway[0].update(amount=201),
    ),
    Forgery(
        "a charge for an order no topic knows",
        "agrees with the gateway",
        "nobody",
        "9 GBP",
        then=lambda recorded: recorded.moved("CHARGE", "nobody", 9),
    ),
    Forgery("stock that never went back", "held + shipped", "o3", "2 held", omit=["StockReleased"]),
    Forgery("a confirmed order that holds nothing", "held + shipped", "o1", "0 held", omit=["StockReserved"]),
    Forgery(
        "a completed order whose goods never left", "held + shipped", "o2", "2 held", omit=["StockShipped"]
    ),
    Forgery("stock held for no order", "held + shipped", "ghost", "1 held", then=held_for_nobody),
    Forgery(
        "stock that comes from nowhere",
        "stock arithmetic",
        PRODUCT,
        "99",
        alter={"StockReserved": only("o1", available_qty=99)},
    ),
    Forgery(
        "pieces that vanish",
        "initial + adjusted − available = held + shipped",
        PRODUCT,
        "0 + 100",
        alter={"StockReleased": only("o4", available_qty=90)},
    ),
    Forgery(
        "stock below zero",
        "available never negative",
        PRODUCT,
        "-1",
        alter={"StockReserved": only("o1", available_qty=-1)},
    ),
    Forgery("stock reserved twice", "legal holds", PRODUCT, "reserved after HELD", repeat=["StockReserved"]),
    Forgery("created twice", "once an order", "o1", "at most one OrderCreated", repeat=["OrderCreated"]),
    Forgery(
        "confirmed twice", "once an order", "o1", "at most one OrderConfirmed", repeat=["OrderConfirmed"]
    ),
    Forgery(
        "cancelled twice", "once an order", "o4", "at most one OrderCancelled", repeat=["OrderCancelled"]
    ),
    Forgery("paid twice", "legal transitions", "o1", "PaymentSucceeded", repeat=["PaymentSucceeded"]),
    Forgery("refunded twice", "legal transitions", "o4", "PaymentRefunded", repeat=["PaymentRefunded"]),
    Forgery(
        "completed without being confirmed",
        "legal transitions",
        "o2",
        "OrderCompleted",
        omit=["OrderConfirmed"],
    ),
    Forgery(
        "confirmed without being paid", "legal transitions", "o1", "without OrderPaid", omit=["OrderPaid"]
    ),
    Forgery(
        "events without an OrderCreated", "legal transitions", "o1", "OrderCreated", omit=["OrderCreated"]
    ),
    Forgery("a report never recorded", "reports recorded", "o4", "OrderRefunded", omit=["OrderRefunded"]),
    Forgery(
        "a report recorded that never came",
        "reports recorded",
        "o2",
        "InventoryShipped",
        omit=["InventoryShipped"],
    ),
    Forgery(
        "a total that is not that of the items",
        "value of items",
        "o1",
        "201",
        alter={"OrderCreated": only("o1", total_amount=201)},
    ),
    Forgery(
        "an order without a price that was taken as free",
        "no price, no order",
        "o1",
        "OrderConfirmed without a currency",
        alter={"OrderConfirmed": only("o1", currency="")},
    ),
    Forgery("an order that is stuck", "no order is stuck", "o9", "nothing is under way", then=stuck),
    Forgery("a command without an answer", "every command answered", "o1", "neither", then=unanswered),
    Forgery("a version left out", "key versions", "o3", "event 3", then=gap),
    Forgery("an event id used twice", "event ids", "o1", "an id no other event has", then=same_id),
    Forgery("an event no processor wrote", "one writer a log", "o1", "no key version", then=no_version),
    Forgery("an event in a wrong partition", "one writer a log", "o1", "partition", then=wrong_partition),
)
