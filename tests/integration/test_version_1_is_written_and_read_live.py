"""Version 1 of OrderCreated, PaymentFailed and InventoryFailed: read in the logs, written beside them on request."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventbus.headers import headers_of
from eventbus.kafka.topics import create as create_topics
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.processing.ports import Step
from schemas import CreateOrder, Item
from tests.integration.orders import create, order_ids
from tests.support.audits import assert_clean_audit
from tests.support.processes import ServiceProcess
from tests.support.system import SERVICES, System
from tests.support.version_1 import OldReader, Unreadable, old_value
from tests.support.waiting import eventually
from tools.wiring import topics

OLD = OldReader()


@pytest.fixture
def mirrored(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A system in which version 1 is switched on."""
    monkeypatch.setenv("EVENTBUS_V1_TOPICS", "1")
    system = System(kafka, tmp_path)
    yield system
    system.close()


def write_old(system: System, log: str, name: str, order_id: str, cause: Position, **more: Any) -> None:
    """The first event of an order in a log, as its owner wrote it while it knew version 1 only."""
    now = time.time_ns() // 1_000_000
    fields = {"orderId": order_id, "userId": "anne", "productId": "cup", "quantity": 2, "timestamp": now}
    value = old_value(name, **fields, **more)
    message, partition = system.topics.codec.decode_value(value), system.topics.partition(order_id)
    envelope = Envelope(
        message=message,
        id=f"{order_id}-{name}",
        time=now,
        source=f"/{log.partition('.')[0]}",
        correlation_id=order_id,
        cause=str(cause),
        key_version=1,
        traceparent=None,
        topic=log,
        partition=partition,
        offset=-1,
    )
    system.topics.send_bytes(log, partition, order_id.encode(), value, headers_of(envelope))


def many_items(order_id: str, pots: int = 1) -> CreateOrder:
    one = create(order_id)
    return replace(one, items=(*one.items, Item(product_id="pot", quantity=pots, unit_price=250)))


def view(order: ServiceProcess, order_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = order.get(f"/orders/{order_id}").json()
    return answer


def ends(order: ServiceProcess, *order_ids: str) -> list[tuple[str, str]]:
    """Status, and stage of the failure, of settled orders."""

    def settled() -> list[tuple[str, str]]:
        views = [view(order, i) for i in order_ids]
        assert not {v["status"] for v in views} & {"CREATED", "PROCESSING"}
        return [(v["status"], (v["failure"] or {"stage": ""})["stage"]) for v in views]

    return eventually(settled, "the orders are settled")


def old_reads(system: System, topic: str) -> dict[str, dict[str, Any]]:
    """What the program that knows version 1 only reads of a topic, by order; each order once."""
    records = [OLD.read(raw.value or b"") for raw in system.topics.read(topic)]
    found = {record["orderId"]: record for record in records}
    assert len(found) == len(records)
    return found


def test_orders_of_version_1_in_the_log_are_never_free_and_those_of_version_2_beside_them_are_confirmed(
    system: System,
) -> None:
    """The order service of version 1 has written; then all services of today start and go on."""
    old, new = order_ids(3), order_ids(3)
    [inventory] = system.start("inventory")
    system.stock(inventory, 100, "cup")
    for order_id, position in zip(old, system.topics.send(*map(create, old)), strict=True):
        write_old(system, "order.events", "OrderCreated", order_id, position)
    simulator = system.simulator()
    order, *_ = system.start("order", "payment", "notification")
    system.topics.send(*map(create, new))

    assert ends(order, *old) == [("FAILED", "PAYMENT")] * 3
    assert ends(order, *new) == [("CONFIRMED", "")] * 3
    assert Counter(record["orderId"] for record in simulator.record()) == dict.fromkeys(new, 1)
    for order_id in old:
        shown = view(order, order_id)
        assert (shown["currency"], shown["totalAmount"], shown["payment"]) == (None, None, "FAILED")
        assert shown["failure"]["reason"] == "the order names no price"
        assert shown["items"] == [{"productId": "cup", "quantity": 2, "unitPrice": None}]
        data = order.get(f"/orders/{order_id}/events").json()["events"][0]["data"]
        assert (data["version"], data["totalAmount"], data["currency"]) == ("1.0", None, None)
    assert_clean_audit(system, simulator)
    assert inventory.get("/stock/cup").json()["availableQty"] == 100 - 2 * len(new)
    told = (system.directory / "notifications.log").read_text()
    assert f"Thank you. We received your order {old[0]}." in told and "0.00" not in told
    made = system.topics.admin.list_topics(timeout=10.0).topics
    assert not [
        name for name in made if name.startswith(system.settings.topic_prefix) and name.endswith(".v1")
    ]


def test_failures_of_version_1_and_2_in_one_topic_end_their_orders(system: System) -> None:
    order, _ = system.start("order", "notification")
    old_payment, old_inventory, new_inventory = ids = order_ids(3)
    system.topics.send(*map(create, ids))
    eventually(lambda: len(system.topics.read("order.events")) == 3, "the orders are created")
    place = {
        raw.key: Position(raw.topic, raw.partition, raw.offset) for raw in system.topics.read("order.events")
    }
    write_old(
        system,
        "payment.events",
        "PaymentFailed",
        old_payment,
        place[old_payment.encode()],
        reason="card declined",
    )
    write_old(
        system,
        "inventory.events",
        "InventoryFailed",
        old_inventory,
        place[old_inventory.encode()],
        availableQty=1,
        reason="Insufficient inventory",
    )
    system.start("inventory")  # nothing is in stock: it reports the shortage of the third in version 2

    assert ends(order, *ids) == [("FAILED", "PAYMENT"), ("FAILED", "INVENTORY"), ("FAILED", "INVENTORY")]
    assert system.topics.read("order.dlq") == []
    told = eventually(
        lambda: [
            line
            for line in (system.directory / "notifications.log").read_text().splitlines()
            if "failed: card declined" in line or "available: 1" in line or f"{new_inventory}:Inv" in line
        ],
        "the customers are told",
    )
    assert told


def test_version_1_is_written_beside_the_logs_for_orders_of_one_item_and_the_others_are_counted(
    mirrored: System,
) -> None:
    simulator = mirrored.simulator()
    order, payment, inventory, _ = mirrored.start("order", "payment", "inventory", "notification")
    mirrored.stock(inventory, 100, "cup", "pot")
    confirmed, declined, short, many, many_declined, many_short = ids = order_ids(6)
    mirrored.topics.send(
        create(confirmed),
        replace(create(declined), payment_method="tok_declined"),
        create(short, quantity=1_000),
        many_items(many),
        replace(many_items(many_declined), payment_method="tok_declined"),
        many_items(many_short, pots=1_000),
    )
    assert (
        ends(order, *ids)
        == [
            ("CONFIRMED", ""),
            ("FAILED", "PAYMENT"),
            ("FAILED", "INVENTORY"),
        ]
        * 2
    )
    mirrored.wait_consumed(*SERVICES)

    orders = old_reads(mirrored, "order.events.v1")
    assert set(orders) == {confirmed, declined, short}
    assert (orders[short]["productId"], orders[short]["quantity"], orders[short]["version"]) == (
        "cup",
        1_000,
        "1.0",
    )
    assert set(old_reads(mirrored, "payment.events.v1")) == {declined}
    assert set(old_reads(mirrored, "inventory.events.v1")) == {short}
    for log, process, name in (
        ("order.events", order, "OrderCreated"),
        ("payment.events", payment, "PaymentFailed"),
        ("inventory.events", inventory, "InventoryFailed"),
    ):
        own = [raw for raw in mirrored.topics.read(log) if raw.header("ce_type") == name]
        beside = {raw.key: raw for raw in mirrored.topics.read(f"{log}.v1")}
        assert len(own) == len(beside) + process.metric(
            "eventbus_unrepresentable_total", message=name, version="1"
        )
        for raw in own:
            if copy := beside.get(raw.key):
                assert (copy.partition, copy.headers) == (raw.partition, raw.headers)
            else:
                assert (raw.key or b"").decode() in (many, many_declined, many_short)
            with pytest.raises(Unreadable, match="schema id"):
                OLD.read(raw.value or b"")
    assert_clean_audit(mirrored, simulator)


@pytest.mark.parametrize("step", [Step.PRODUCED, Step.COMMITTED])
def test_an_event_and_its_version_1_are_written_together_or_not_at_all(mirrored: System, step: Step) -> None:
    """The replica that decides is killed, between produce and commit or just after it, and another one takes over."""
    files = [mirrored.directory / f"crash-{slot}" for slot in (0, 1)]
    replicas = [
        mirrored.service("order", slot, module="tests.integration.crashing", CRASH_FILE=str(file))
        for slot, file in enumerate(files)
    ]
    first = replicas[0].start().wait_ready()
    eventually(lambda: first.leads() == mirrored.settings.partitions, "the first replica leads all")
    files[0].with_suffix(".draft").write_text(step.value)
    files[0].with_suffix(".draft").rename(files[0])
    ids, many = order_ids(40), order_ids(10)
    mirrored.topics.send(*map(create, ids), *map(many_items, many))
    assert first.wait_end() == -9
    second = replicas[1].start().wait_ready()

    eventually(
        lambda: len(mirrored.topics.read("order.events")) == len(ids) + len(many), "every command is decided"
    )
    log = {raw.key: raw.header("ce_id") for raw in mirrored.topics.read("order.events")}
    beside = mirrored.topics.read("order.events.v1")
    assert sorted((raw.key or b"").decode() for raw in beside) == sorted(ids)
    assert {raw.key: raw.header("ce_id") for raw in beside} == {i.encode(): log[i.encode()] for i in ids}
    assert second.get(f"/orders/{many[0]}").json()["status"] == "CREATED"


def test_version_1_that_is_switched_on_later_asks_for_its_topic_and_begins_there(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = order_ids(2)
    (order,) = system.start("order")
    system.topics.send(create(before))
    eventually(lambda: system.topics.read("order.events"), "the first order is created")
    order.stop()

    order.start(EVENTBUS_V1_TOPICS="1")
    missing = f"{system.settings.topic_prefix}order.events.v1"
    eventually(
        lambda: f"missing at {system.settings.bootstrap_servers}: {missing}" in order.tail(), "it says so"
    )
    monkeypatch.setenv("EVENTBUS_V1_TOPICS", "1")
    create_topics(system.settings, topics())
    order.wait_ready()
    system.topics.send(create(after))

    eventually(lambda: system.topics.read("order.events.v1"), "the second order is there in version 1")
    assert set(old_reads(system, "order.events.v1")) == {after}
    assert view(order, before)["status"] == "CREATED"
