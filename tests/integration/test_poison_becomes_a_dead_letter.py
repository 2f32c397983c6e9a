"""What cannot be handled goes to the service's dead letter topic as it was, with its cause; the service goes on."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import ERRORS
from schemas import (
    AdjustStock,
    Contact,
    InventoryFailed,
    Item,
    OrderPaid,
    PaymentFailed,
    StockAnswered,
)
from schemas.money import MAX_AMOUNT
from tests.integration.faulty import UNLUCKY
from tests.integration.history import Shop
from tests.integration.orders import create, created, order_ids
from tests.support.system import SERVICES, System, problem
from tests.support.topic_client import TopicClient
from tests.support.waiting import eventually

INPUTS = {
    "order": ("order.commands", "payment.events", "inventory.events"),
    "payment": ("order.events",),
    "inventory": ("order.events", "inventory.answers", "stock.commands"),
    "notification": ("order.events", "payment.events", "inventory.events"),
}
KINDS = (
    "undecodable bytes",
    "no wire format",
    "unknown schema id",
    "bytes left over",
    "empty value",
    "no value",
    "wrong partition",
    "key is not the body's id",
    "no key",
    "key not text",
)
ERROR_OF = {"unknown schema id": "UnknownSchema"}
"""The error of a kind where it is not Poison itself."""
HEADERS: Headers = [("x-origin", b"\x00\xff\xfe"), ("x-origin", b"twice"), ("", b"no name"), ("empty", b"")]


def subscribed(topic: str, order_id: str) -> Message:
    """A message of the topic that each service which reads the topic listens to."""
    match topic:
        case "order.commands":
            return create(order_id)
        case "order.events":
            return created(order_id)
        case "payment.events":
            return PaymentFailed(order_id=order_id, user_id="anne", reason="card declined")
        case "inventory.events":
            return InventoryFailed(
                order_id=order_id,
                user_id="anne",
                product_id="cup",
                quantity=9,
                available_qty=1,
                reason="short",
            )
        case "inventory.answers":
            return StockAnswered(
                order_id=order_id, product_id="cup", outcome="RESERVED", quantity=1, available_qty=1
            )
    return AdjustStock(product_id=order_id, quantity=1, reason="delivery")


def poison(topics: TopicClient, topic: str, kind: str) -> Raw:
    """A record of this kind, as it is to be written."""
    (order_id,) = order_ids(1)
    value = topics.codec.encode(subscribed(topic, order_id))
    good = Raw(topic, topics.partition(order_id), -1, order_id.encode(), value, HEADERS, 0)
    match kind:
        case "undecodable bytes":
            return good._replace(value=value[:5] + b"\xff" * 40)
        case "no wire format":
            return good._replace(value=b'{"orderId": "1"}')
        case "unknown schema id":
            return good._replace(value=struct.pack(">bI", 0, 999_999) + value[5:])
        case "bytes left over":
            return good._replace(value=value + b"\0")
        case "empty value":
            return good._replace(value=b"")
        case "no value":
            return good._replace(value=None)
        case "wrong partition":
            return good._replace(partition=(good.partition + 1) % topics.settings.partitions)
        case "key is not the body's id":
            other = next(i for i in order_ids(99) if topics.partition(i) == good.partition)
            return good._replace(key=other.encode())
        case "no key":
            return good._replace(key=None)
    assert kind == "key not text"
    key = next(
        k for k in (b"\xff%d" % n for n in range(99)) if partition_of(k, topics.settings.partitions) == 0
    )
    return good._replace(key=key, partition=0)


def write(topics: TopicClient, raw: Raw) -> Position:
    return topics.send_bytes(raw.topic, raw.partition, raw.key, raw.value, raw.headers)


def decided(topics: TopicClient, topic: str, key: str) -> list[Envelope]:
    """What a processor wrote about a key."""
    ours = [raw for raw in topics.read(topic) if raw.extension("cause") and raw.key == key.encode()]
    return [topics.codec.decode(raw) for raw in ours]


@dataclass
class Letter:
    """A dead letter: the record it holds, and the headers that say why."""

    raw: Raw
    about: dict[str, str]

    @property
    def place(self) -> str:
        return "{topic}-{partition}-{offset}".format(**self.about)


def letters(topics: TopicClient, service: str) -> dict[str, Letter]:
    """A service's dead letters, by where the original stood."""
    found: dict[str, Letter] = {}
    for raw in topics.read(f"{service}.dlq"):
        about = {n.removeprefix(ERRORS): v.decode() for n, v in raw.headers if v and n.startswith(ERRORS)}
        original = [(n, v) for n, v in raw.headers if not n.startswith(ERRORS)]
        letter = Letter(raw._replace(headers=original), about)
        assert letter.place not in found, f"{letter.place} is there twice"
        found[letter.place] = letter
    return found


def letter_of(topics: TopicClient, service: str, position: Position) -> Letter:
    return eventually(lambda: letters(topics, service).get(str(position)), f"{position} in {service}.dlq")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("poison"))
    shop = Shop(system)
    shop.start()
    system.stock(shop["inventory"], 1000, "cup")
    yield shop
    system.close()


def test_poison_of_every_kind_on_every_input_of_every_service(shop: Shop) -> None:
    topics = shop.system.topics
    written: dict[Position, tuple[str, Raw]] = {}
    for topic in sorted({t for inputs in INPUTS.values() for t in inputs}):
        for kind in KINDS:
            raw = poison(topics, topic, kind)
            written[write(topics, raw)] = (kind, raw)

    for service, inputs in INPUTS.items():
        expected = {str(p): (kind, raw) for p, (kind, raw) in written.items() if p.topic in inputs}
        eventually(
            lambda s=service, e=expected: len(letters(topics, s)) >= len(e),  # type: ignore[misc]
            f"{service} has buried {len(expected)}",
        )
        found = letters(topics, service)
        assert {p: kind for p, (kind, _) in expected.items() if p not in found} == {}
        for place, (kind, raw) in expected.items():
            letter = found[place]
            assert letter.raw.key == raw.key, kind
            assert letter.raw.value == raw.value, kind
            assert letter.raw.headers == raw.headers, kind
            assert letter.raw.partition == raw.partition, kind
            assert letter.about["exception"] == ERROR_OF.get(kind, "Poison"), letter.about
            assert letter.about["group"] == service
            assert letter.about["attempts"] == "1"
            assert letter.about["message"] and letter.about["exception"] in letter.about["stacktrace"]
            assert int(letter.about["timestamp"]) > 0

    shop.order("CONFIRMED")
    shop.wait_settled()
    for process in shop.services.values():
        assert process.alive and process.is_ready()


def test_a_command_nobody_takes_is_poison_and_an_event_nobody_wants_is_not(shop: Shop) -> None:
    topics = shop.system.topics
    (order_id,) = order_ids(1)
    paid = OrderPaid(order_id=order_id, amount=1, currency="GBP")
    before = {name: len(letters(topics, name)) for name in SERVICES}

    topics.send(paid)
    value = topics.codec.encode(paid)
    position = topics.send_bytes(
        "order.commands", topics.partition(order_id), order_id.encode(), value, HEADERS
    )
    unknown: Headers = [("ce_type", b"EraseOrder"), ("x-nothing", None)]
    command = topics.codec.encode(create(order_id))
    stranger = topics.send_bytes(
        "order.commands", topics.partition(order_id), order_id.encode(), command, unknown
    )

    assert "takes no OrderPaid" in letter_of(topics, "order", position).about["message"]
    assert "takes no EraseOrder" in letter_of(topics, "order", stranger).about["message"]
    shop.system.wait_consumed(*SERVICES)
    after = {name: len(letters(topics, name)) for name in SERVICES}
    assert after == before | {"order": before["order"] + 2}
    assert shop["order"].get(f"/orders/{order_id}").status_code == 404


def test_a_wrong_command_written_straight_to_the_topic_is_refused_by_an_event(shop: Shop) -> None:
    (order_id,) = order_ids(1)

    shop.system.topics.send(create(order_id, quantity=-1))

    order = shop["order"].get(f"/orders/{order_id}").json()
    assert order["status"] == "FAILED"
    assert order["failure"]["stage"] == "VALIDATION"
    assert "quantity" in str(order["failure"])
    events = [e.message.name for e in decided(shop.system.topics, "order.events", order_id)]
    assert events == ["OrderRefused"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"contact": Contact(email="anne@example.org\nforged")}, "contact.email"),
        ({"items": (Item(product_id="cup", quantity=1, unit_price=MAX_AMOUNT + 1),)}, "items"),
    ],
    ids=["m4 an address with a line break", "m6 a total beyond the gateway's limit"],
)
def test_what_the_api_refuses_is_refused_by_an_event_when_written_to_the_topic(
    shop: Shop, change: dict[str, Any], field: str
) -> None:
    (order_id,) = order_ids(1)
    shop.system.topics.send(replace(create(order_id), **change))
    order = shop["order"].get(f"/orders/{order_id}").json()
    assert (order["status"], order["failure"]["stage"]) == ("FAILED", "VALIDATION")
    assert order["failure"]["field"] == field


def test_m4_an_address_that_an_old_log_holds_forges_no_line_and_its_customer_is_told(shop: Shop) -> None:
    (order_id,) = order_ids(1)
    forged = f"anne@example.org\n[forged:{order_id}] to eve@example.org: Your order is free."
    shop.system.topics.send(replace(created(order_id), contact=Contact(email=forged)))

    def lines() -> list[str]:
        written = (shop.system.directory / "notifications.log").read_text().splitlines()
        return [line for line in written if order_id in line]

    eventually(lines, "the customer is notified")
    shop.system.wait_consumed("notification")
    log = (shop.system.directory / "notification-0.log").read_text()
    assert all(line.startswith(f"[{order_id}:OrderCreated] to the customer: ") for line in lines())
    assert f"[{order_id}:OrderCreated] to the customer: " in log
    assert "forged" not in "".join(lines()) + log


def test_a_call_that_fails_three_times_is_buried_and_its_partition_goes_on(shop: Shop) -> None:
    topics = shop.system.topics
    hopeless, *others = [i for i in order_ids(60) if topics.partition(i) == 0]
    (position,) = topics.send(created(hopeless, payment_method="tok_unavailable"))
    topics.send(*(created(i) for i in others))

    for i in others:
        eventually(lambda i=i: decided(topics, "payment.events", i), f"{i} of its partition is charged")  # type: ignore[misc]
    letter = letter_of(topics, "payment", position)
    assert (letter.about["exception"], letter.about["attempts"]) == ("Retryable", "3")
    assert topics.codec.decode_value(letter.raw.value).key == hopeless
    outcomes = {e.message.name for e in decided(topics, "payment.events", hopeless)}
    assert not outcomes & {"PaymentSucceeded", "PaymentFailed"}


def test_a_call_that_can_never_succeed_is_buried_at_once(shop: Shop) -> None:
    topics = shop.system.topics
    (order_id,) = order_ids(1)
    item = Item(product_id="cup", quantity=1, unit_price=MAX_AMOUNT + 1)
    absurd = replace(created(order_id), items=(item,), total_amount=MAX_AMOUNT + 1)

    (position,) = topics.send(absurd)

    letter = letter_of(topics, "payment", position)
    assert (letter.about["exception"], letter.about["attempts"]) == ("Poison", "1")


def test_a_bug_in_a_rule_and_an_output_too_large_bury_the_message_and_nothing_else(system: System) -> None:
    order = system.service("order", module="tests.integration.faulty", EVENTBUS_MAX_EVENT_BYTES="2000")
    order.start().wait_ready()
    topics = system.topics
    unlucky, large, *others = [i for i in order_ids(60) if topics.partition(i) == 0]
    (bug,) = topics.send(replace(create(unlucky), user_id=UNLUCKY))
    many = create(large).items * 1000
    (too_large,) = topics.send(replace(create(large), items=many))
    topics.send(*(create(i) for i in others))

    letter = letter_of(topics, "order", bug)
    assert (letter.about["exception"], letter.about["message"]) == ("ZeroDivisionError", "a bug in a rule")
    assert "decide" in letter.about["stacktrace"]
    assert "EVENTBUS_MAX_EVENT_BYTES" in letter_of(topics, "order", too_large).about["message"]
    system.wait_consumed("order")
    assert [m.key for m in topics.messages("order.events")] == others
    answer = order.get(f"/orders/{unlucky}")
    assert answer.status_code == 503 and "waits" in problem(answer)["detail"], (
        "it is accepted and not decided"
    )
