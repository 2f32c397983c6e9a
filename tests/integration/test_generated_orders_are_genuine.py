"""Logs that ``bench.generate_orders`` writes are those of a real system: to the audit, to services, to clients."""

from __future__ import annotations

import time

import pytest

from bench.generate_orders import NotGenerated, generate
from bench.orders import Plan
from schemas import OrderConfirmed
from tests.support.system import System
from tools.system import System as Address
from verification.audit.run import audit

ORDERS = 2_000
BEGIN = time.time_ns() // 1_000_000 - 600_000


def test_services_take_generated_orders_for_their_own_and_the_audit_is_clean(system: System) -> None:
    counts = generate(
        system.settings, Plan(ORDERS, seed=11, begin=BEGIN), gateway=system.directory / "simulator.db"
    )
    simulator = system.simulator()
    order, inventory, _, _ = system.start("order", "inventory", "payment", "notification")

    url = f"http://127.0.0.1:{simulator.process.port}"
    result = audit(Address(f"http://127.0.0.1:{order.port}", "", url, system.settings))
    assert result.clean, result
    assert (sum(result.orders.values()), result.open) == (ORDERS, [])

    confirmed = next(m for m in system.topics.messages("order.events") if isinstance(m, OrderConfirmed))
    shown = order.get(f"/orders/{confirmed.key}").json()
    assert shown["status"] in ("CONFIRMED", "COMPLETED", "CANCELLED")
    product = shown["items"][0]["productId"]
    body = {"userId": "anne", "productId": product, "quantity": 1}
    posted = order.post("/orders", json=body, headers={"Prefer": "wait=10"})
    assert posted.json()["status"] == "CONFIRMED", posted.text
    assert inventory.get(f"/stock/{product}").json()["reservedQty"] > 0

    # What was generated counts as decided: only the new order left anything.
    system.wait_consumed("order", "inventory", "payment", "notification")
    later = ("order.commands", "order.events", "payment.events", "inventory.events", "stock.commands")
    assert [len(system.topics.read(topic)) - counts[topic] for topic in later] == [1, 4, 1, 3, 1]
    letters = system.topics.ends("order.dlq", "payment.dlq", "inventory.dlq", "notification.dlq")
    assert {topic: sum(ends) for topic, ends in letters.items()} == dict.fromkeys(letters, 0)


def test_a_system_that_holds_records_is_left_as_it_is(system: System) -> None:
    plan = Plan(6, seed=1, begin=BEGIN)
    generate(system.settings, plan)
    with pytest.raises(NotGenerated, match=r"holds records"):
        generate(system.settings, plan)


def test_nothing_is_generated_under_a_service_that_runs(system: System) -> None:
    system.start("order")
    with pytest.raises(NotGenerated, match=r"order cannot be told where to begin .*: does it run\?"):
        generate(system.settings, Plan(6, seed=1, begin=BEGIN))
    assert system.topics.read("order.commands") == []
