"""Bad input that comes by another way than HTTP: refused on the record, or a dead letter; work goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from eventbus.kafka.records import partition_of
from eventbus.model.record import Headers, Raw
from schemas import CreateOrder, Item, OrderRefused, StockAnswered
from tests.e2e.shop import Shop, order_of
from tests.e2e.topic_client import TopicClient
from tests.e2e.waiting import until

ERRORS = "__eventbus.errors."


def command(**changed: Any) -> CreateOrder:
    """A CreateOrder as another system sends it."""
    item, now = Item(product_id="p", quantity=1, unit_price=100), time.time_ns() // 1_000_000
    return replace(
        CreateOrder(order_id=str(uuid4()), user_id="u1", items=(item,), currency="GBP", timestamp=now),
        **changed,
    )


def test_a_command_that_breaks_a_rule_is_refused_by_an_event(shop: Shop, topics: TopicClient) -> None:
    wrong = command(items=(Item(product_id="p", quantity=-1, unit_price=100),))
    cause = topics.send(wrong)
    until(lambda: topics.about(OrderRefused, wrong.order_id), 20, "the refusal is an event")
    order = shop.get(wrong.order_id)
    assert order["status"] == "FAILED"
    assert order["failure"]["field"] == "items[0].quantity"
    assert "-1" in order["failure"]["reason"]
    (event,) = shop.events(wrong.order_id)
    assert (event["type"], event["cause"]) == ("OrderRefused", cause)


def test_a_command_of_another_system_is_an_order_as_any(shop: Shop, topics: TopicClient) -> None:
    product = shop.stocked()
    right = command(items=(Item(product_id=product, quantity=2, unit_price=100),))
    topics.send(right)
    until(lambda: shop.order.get(f"/orders/{right.order_id}").status_code == 200, 20, "the order is there")
    assert shop.settled(right.order_id)["status"] == "CONFIRMED"


READERS = {
    "order.commands": ("order",),
    "order.events": ("payment", "inventory", "notification"),
    "payment.events": ("order", "notification"),
    "inventory.events": ("order", "notification"),
    "inventory.answers": ("inventory",),
    "stock.commands": ("inventory",),
}
"""Who takes each input topic in."""
SOUND = ("CreateOrder", "OrderCreated", "PaymentFailed", "InventoryFailed", "AdjustStock")
"""A message of each of them that all its readers subscribe to."""

POISON: dict[str, Callable[[bytes], bytes | None]] = {
    "undecodable bytes": lambda value: b"\xff\xfe no Avro",
    "an unknown schema id": lambda value: b"\x00\x7f\xff\xff\xff" + value[5:],
    "an empty value": lambda value: b"",
    "no value": lambda value: None,
    "half a message": lambda value: value[:-3],
    "a message and a half": lambda value: value + b"\x01",
}


def came_from(coordinates: str, letter: Raw) -> bool:
    """Whether the record that a dead letter keeps stood there (topic-partition-offset)."""
    stood = (letter.header(ERRORS + name) or "" for name in ("topic", "partition", "offset"))
    return "-".join(stood) == coordinates


def one_in_each_partition(topics: TopicClient, product: str) -> list[CreateOrder]:
    """Orders whose keys belong to every partition in turn."""
    item = Item(product_id=product, quantity=1, unit_price=100)
    found: dict[int, CreateOrder] = {}
    while len(found) < topics.partitions("order.commands"):
        order = command(items=(item,))
        found[partition_of(order.order_id.encode(), topics.partitions("order.commands"))] = order
    return list(found.values())


def a_sound_value(topics: TopicClient, topic: str, key: bytes) -> bytes:
    """The value of a message about a key that all readers of a topic take."""
    if topic == "inventory.answers":  # inventory decides nearly all of them at once, and writes them no more
        answer = StockAnswered(
            order_id=key.decode(), product_id="cup", outcome="RELEASED", quantity=1, available_qty=20
        )
        return topics.codec.encode(answer)
    record = topics.await_record(
        topic, topics.starts(topic), lambda raw: raw.key == key and raw.header("ce_type") in SOUND
    )
    return record.value or b""


@pytest.mark.parametrize("topic", READERS)
def test_poison_goes_to_the_dead_letters_byte_for_byte_and_work_goes_on(
    shop: Shop, topics: TopicClient, topic: str
) -> None:
    product = shop.stocked(20)
    short = order_of(product, quantity=21)
    failed = short if topic == "inventory.events" else order_of(product, paymentMethod="tok_declined")
    key = (product if topic == "stock.commands" else shop.accepted(failed)).encode()
    sound = a_sound_value(topics, topic, key)
    since = {f"{reader}.dlq": topics.ends(f"{reader}.dlq") for reader in READERS[topic]}
    kept: Headers = [("x-of-its-own", b"\x00\xff"), ("x-nothing", None)]
    spoilt = [spoil(sound) for spoil in POISON.values()]
    sent = {topics.produce(topic, key, value, kept): value for value in spoilt}
    elsewhere = (partition_of(key, topics.partitions(topic)) + 1) % topics.partitions(topic)
    sent[topics.produce(topic, key, sound, kept, elsewhere)] = sound

    for letters, start in since.items():
        for coordinates, value in sent.items():
            letter = topics.await_record(letters, start, partial(came_from, coordinates))
            assert (letter.key, letter.value or b"") == (key, value or b"")
            assert letter.headers[: len(kept)] == kept
            assert letter.header(ERRORS + "exception") in ("Poison", "UnknownSchema")
            assert letter.header(ERRORS + "message")

    orders = one_in_each_partition(topics, product)
    for order in orders:
        topics.send(order)
        until(lambda: shop.order.get(f"/orders/{order.order_id}").status_code == 200, 20, "it is there")  # noqa: B023
        assert shop.settled(order.order_id)["status"] == "CONFIRMED"
    assert shop.adjust(product, 1).status_code == 202
    assert shop.stock(product) == (21 - len(orders), len(orders))
