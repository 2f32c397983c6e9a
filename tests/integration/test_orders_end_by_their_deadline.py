"""An order not settled by its deadline fails once, and what was done for it is undone, whoever was away meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from schemas import OrderCreated, OrderFailed
from tests.integration.orders import create, order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import Simulator, System
from tests.support.waiting import eventually

FROZEN = 30.0
"""Seconds that a replica stands still, at least."""


def place(order: ServiceProcess, count: int, method: str = "tok_ok") -> list[str]:
    request = {"userId": "anne", "productId": "cup", "quantity": 1, "paymentMethod": method}
    return [order.post("/orders", json=request).json()["orderId"] for _ in range(count)]


def end_of(order: ServiceProcess, order_id: str) -> tuple[Any, ...]:
    body = order.get(f"/orders/{order_id}").json()
    return body["status"], (body["failure"] or {}).get("stage"), body["payment"], body["inventory"]


def wait_ends(order: ServiceProcess, ids: list[str], payment: str, inventory: str) -> None:
    wanted = ("FAILED", "EXPIRED", payment, inventory)

    def ended() -> bool:
        found = {i: end_of(order, i) for i in ids}
        assert set(found.values()) == {wanted}, found
        return True

    eventually(ended, f"all end as {wanted}")


def failures(system: System) -> Counter[str]:
    return Counter(m.key for m in system.topics.messages("order.events") if isinstance(m, OrderFailed))


def balance(simulator: Simulator) -> dict[str, int]:
    """What the gateway has of each order: charged less refunded."""
    money: Counter[str] = Counter()
    for row in simulator.record():
        if row["outcome"] == "SUCCEEDED":
            money[row["orderId"]] += row["amount"] if row["kind"] == "CHARGE" else -row["amount"]
    return dict(money)


def in_stock(inventory: ServiceProcess) -> tuple[int, int]:
    body = inventory.get("/stock/cup").json()
    return body["availableQty"], body["reservedQty"]


def test_without_payment_it_expires_is_released_and_never_charged(system: System) -> None:
    simulator = system.simulator()
    (order,) = system.start("order", ORDER_DEADLINE="3s")
    (inventory,) = system.start("inventory")
    system.stock(inventory, 10, "cup")
    ids = place(order, 5)

    wait_ends(order, ids, "PENDING", "RELEASED")
    assert in_stock(inventory) == (10, 0)
    system.start("payment")
    wait_ends(order, ids, "FAILED", "RELEASED")

    assert failures(system) == dict.fromkeys(ids, 1)
    assert {row["outcome"] for row in simulator.record()} == {"VOIDED"}


def test_without_inventory_it_expires_and_is_paid_back_and_a_late_reservation_is_released(
    system: System,
) -> None:
    simulator = system.simulator()
    order, _ = system.start("order", "payment", ORDER_DEADLINE="4s")
    ids = place(order, 5)

    wait_ends(order, ids, "REFUNDED", "PENDING")
    assert balance(simulator) == dict.fromkeys(ids, 0)
    (inventory,) = system.start("inventory")
    system.stock(inventory, 10, "cup")
    system.wait_consumed("inventory", "order")

    assert in_stock(inventory) == (10, 0)
    assert failures(system) == dict.fromkeys(ids, 1)
    assert all(end_of(order, i)[:3] == ("FAILED", "EXPIRED", "REFUNDED") for i in ids)


@pytest.mark.parametrize("heir", [0, 1], ids=["the same", "another"])
def test_a_deadline_that_passes_while_nobody_is_there_is_kept_by_whoever_comes(
    system: System, heir: int
) -> None:
    (first,) = system.start("order", ORDER_DEADLINE="4s")
    ids = place(first, 6)
    eventually(lambda: len(system.topics.messages("order.events")) == 6, "all are created")
    created = [m for m in system.topics.messages("order.events") if isinstance(m, OrderCreated)]
    first.kill()
    eventually(
        lambda: time.time() * 1000 > max(m.deadline_at or 0 for m in created), "the deadline has passed"
    )

    second = system.service("order", heir, ORDER_DEADLINE="1h").start().wait_ready()

    wait_ends(second, ids, "PENDING", "PENDING")
    system.wait_consumed("order")
    assert failures(system) == dict.fromkeys(ids, 1)


@pytest.mark.timeout(240)
def test_two_replicas_never_both_expire_an_order(system: System) -> None:
    """One stands still for 30 s at least, the decision in hand; the other leads its tasks, decides, and it goes on.

    Both took their tasks over from a third, and have read no input of them since.
    """
    file = system.directory / "freeze"
    (before,) = system.start("order", slot=2, ORDER_DEADLINE="25s")
    ids = order_ids(40)
    system.topics.send(*(create(i) for i in ids))
    eventually(lambda: len(system.topics.messages("order.events")) == 40, "all are created")
    before.stop()
    # Without its watchdog, which else may end it before it has written anything.
    env = {"ORDER_DEADLINE": "12s", "FREEZE_FILE": str(file), "EVENTBUS_WATCHDOG": "300"}
    replicas = [
        system.service("order", slot, module="tests.integration.freezing", **env).start() for slot in (0, 1)
    ]
    for replica in replicas:
        replica.wait_ready()
    eventually(lambda: all(r.leads() for r in replicas), "both lead")
    assert failures(system) == {}, "the deadline has not come yet"
    file.touch()

    eventually(lambda: not file.exists(), "one has decided that orders expire, and stands still")
    began = time.monotonic()
    eventually(lambda: len(failures(system)) == 40, "the other expires all of them")
    eventually(lambda: time.monotonic() - began > FROZEN, "30 s have passed", every=0.5)
    for replica in replicas:
        replica.resume()

    def back(replica: ServiceProcess) -> bool:
        return not replica.alive or replica.is_ready()

    eventually(lambda: all(map(back, replicas)), "it is back, or has ended to be started again")
    system.topics.send(*(create(i) for i in order_ids(20)))
    eventually(lambda: len(failures(system)) == 60, "later orders expire too")
    assert set(failures(system).values()) == {1}
    assert set(ids) <= set(failures(system))


@pytest.mark.parametrize("method", ["tok_timeout", "tok_flaky", "tok_unavailable"])
def test_near_the_deadline_no_charge_is_left_behind(system: System, method: str) -> None:
    """The answer to the charge is lost, or it fails, and the deadline passes before the next try."""
    simulator = system.simulator()
    (order,) = system.start("order", ORDER_DEADLINE="2s")
    (payment,) = system.start("payment", PAYMENT_GATEWAY_TIMEOUT="1", EVENTBUS_RETRY_BACKOFF="3")
    ids = place(order, 8, method)

    eventually(lambda: len(failures(system)) == 8, "all have expired")
    eventually(
        lambda: all(end_of(order, i)[2] not in ("PENDING", "PAID") for i in ids), "payment has answered"
    )
    system.wait_consumed("order", "payment")
    eventually(lambda: "held" not in str([order.get(f"/orders/{i}").json() for i in ids]), "nothing waits")

    assert set(balance(simulator).values()) <= {0}
    assert simulator.doubles() == []
    assert payment.alive
    assert failures(system) == dict.fromkeys(ids, 1)
    outcomes = Counter(row["outcome"] for row in simulator.record())
    if method == "tok_timeout":
        assert outcomes["SUCCEEDED"] == 16, "charged, unheard of, and paid back"
    else:
        assert outcomes["VOIDED"] == 8, "the key is out of use: nothing can be charged under it any more"
