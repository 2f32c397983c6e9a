"""The gateway is away: no order is lost to it, none is charged late, and all goes on by itself when it is back.
It is not away, but many orders fail: those that are good do not wait for that.

The outage is scaled down. The whole of it, ten minutes at 200 orders a second, takes

    OUTAGE=600 RATE=200 .venv/bin/python -m pytest tests/integration -k outage_leaves
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

import pytest

from eventbus.retry.breaker import Breaker
from schemas import OrderConfirmed, OrderCreated, OrderFailed
from tests.integration.loaded import load
from tests.integration.orders import created, order_ids
from tests.integration.waits import Waits
from tests.support.processes import ServiceProcess
from tests.support.system import Simulator, System
from tests.support.waiting import eventually
from tools.load.generate import Plan

OUTAGE = float(os.environ.get("OUTAGE", "20"))
RATE = float(os.environ.get("RATE", "50"))
AROUND = 3.0
"""Seconds of load before the outage, and after it."""
BREAKER = Breaker()
HELD = 6.0
"""Seconds a good order may be held by bad ones: 3 are promised, and a small noisy machine may take twice as long."""


def is_open(payment: ServiceProcess) -> bool:
    return payment.metric("eventbus_breaker_open") == 1


def names(system: System, topic: str) -> Counter[str]:
    return Counter(m.name for m in system.topics.messages(topic))


def charged_late(system: System, simulator: Simulator, patience: float) -> list[dict[str, Any]]:
    """Charges made later than ``patience`` seconds (that a call may take) after their order's deadline."""
    orders = system.topics.messages("order.events")
    deadlines = {m.key: m.deadline_at or 0 for m in orders if isinstance(m, OrderCreated)}
    made = [row for row in simulator.record() if (row["kind"], row["outcome"]) == ("CHARGE", "SUCCEEDED")]
    return [row for row in made if row["at"] > deadlines[row["orderId"]] + patience * 1000]


@pytest.mark.timeout(180 + 4 * OUTAGE)
def test_an_outage_leaves_no_dead_letter_and_drains_by_itself(system: System) -> None:
    simulator = system.simulator()
    # What has piled up by then is not to be held against new orders.
    (order,) = system.start("order", ORDER_MAX_LAG="3600")
    inventory, payment, _ = system.start("inventory", "payment", "notification")
    waits = Waits(system, "payment")
    plan = Plan(RATE, AROUND + OUTAGE + AROUND)
    with load(system, order, inventory, plan, patience=60 + 2 * OUTAGE) as measured:
        eventually(lambda: len(simulator.record()) > 10, "orders are charged")
        simulator.process.kill()
        away_at = time.monotonic()
        eventually(lambda: is_open(payment), "the breaker opens", timeout=10)
        eventually(
            lambda: payment.metric("eventbus_calls_in_flight") <= BREAKER.at_once,
            "what was under way has ended",
        )
        in_flight, parked, tried = [], len(waits.all()), len(system.topics.read("payment.retry"))
        while time.monotonic() - away_at < OUTAGE:
            in_flight.append(payment.metric("eventbus_calls_in_flight"))
            assert payment.is_ready() and is_open(payment)
            time.sleep(0.1)
        assert max(in_flight) <= BREAKER.at_once, "few probes at a time"
        few = BREAKER.burst + (OUTAGE + 5) * BREAKER.a_second
        assert len(waits.all()) - parked <= few, "no input is taken but for probes"
        few += (OUTAGE + 5) * BREAKER.a_second
        assert len(system.topics.read("payment.retry")) - tried <= few, (
            "each try that failed is on record: no flood"
        )
        simulator.process.start().wait_ready()
        eventually(lambda: not is_open(payment), "the breaker closes by itself", timeout=10)
        result = measured.result().result()

    assert result["answers"] == {"202": plan.orders}
    assert (result["ends"], result["notSettled"]) == ({"CONFIRMED": plan.orders}, 0)
    assert system.topics.messages("payment.dlq") == []
    assert simulator.doubles() == []
    assert len(simulator.record()) == plan.orders
    assert charged_late(system, simulator, 0) == []
    assert not [p for p in waits.all() if p.state.open], "nothing waits any more"


def test_an_outage_longer_than_the_deadline_charges_nobody(system: System) -> None:
    simulator = system.simulator()
    order, inventory, _ = system.start("order", "inventory", "notification", ORDER_DEADLINE="6s")
    (payment,) = system.start("payment")
    plan = Plan(30, 12, products=5)
    with load(system, order, inventory, plan, patience=60) as measured:
        eventually(lambda: len(simulator.record()) > 10, "orders are charged")
        simulator.process.pause()
        eventually(lambda: is_open(payment), "the breaker opens", timeout=15)
        eventually(lambda: names(system, "order.events")["OrderFailed"] > 100, "orders expire")
        simulator.process.resume()
        result = measured.result().result()

    assert result["notSettled"] == 0 and result["answers"] == {"202": plan.orders}
    system.wait_consumed("payment", "order", "inventory", timeout=60)
    events = system.topics.messages("order.events")
    assert {m.stage for m in events if isinstance(m, OrderFailed)} == {"EXPIRED"}
    kept = sum(m.total_amount for m in events if isinstance(m, OrderConfirmed))
    assert money(simulator) == kept, "what expired was not charged, or paid back"
    assert charged_late(system, simulator, patience=4) == []
    assert system.topics.messages("payment.dlq") == []
    assert simulator.doubles() == []


def money(simulator: Simulator) -> int:
    """What the gateway has taken, less what it gave back, in minor units."""
    rows = [row for row in simulator.record() if row["outcome"] == "SUCCEEDED"]
    return sum(row["amount"] if row["kind"] == "CHARGE" else -row["amount"] for row in rows)


def test_one_bad_key_never_opens_it(system: System) -> None:
    simulator = system.simulator()
    payment = system.service("payment", EVENTBUS_RETRY_BACKOFF="0.1", EVENTBUS_RETRY_ATTEMPTS="20")
    payment.start().wait_ready()
    (bad,) = order_ids(1)
    system.topics.send(created(bad, payment_method="tok_unavailable"))
    waits = Waits(system, "payment")

    def tried() -> int:
        assert not is_open(payment)
        return sum(parked.attempt for parked in waits.queue(bad))

    eventually(lambda: tried() >= 6, "it was tried again and again")
    system.topics.send(*(created(i) for i in order_ids(20)))
    eventually(
        lambda: names(system, "payment.events")["PaymentSucceeded"] == 20, "others are charged", timeout=5
    )
    assert not is_open(payment)
    assert simulator.doubles() == []


class Shop:
    """Orders as payment sees them, bad ones and good ones; one replica, whose retries begin after a second."""

    def __init__(self, system: System) -> None:
        self.simulator = system.simulator()
        (self.payment,) = system.start("payment")
        self._topics, self._sent = system.topics, dict[str, float]()

    def bad(self, count: int) -> None:
        self._topics.send(*(created(i, payment_method="tok_unavailable") for i in order_ids(count)))

    def good(self) -> None:
        (order,) = order_ids(1)
        self._sent[order] = time.time()
        self._topics.send(created(order))

    def held(self) -> list[float]:
        """Seconds after which each good order was charged; waits until all are."""

        def made() -> dict[str, float] | None:
            at = {row["orderId"]: row["at"] / 1000 for row in self.simulator.record()}
            return at if at.keys() >= self._sent.keys() else None

        at = eventually(made, "every good order is charged", timeout=60)
        assert at is not None and at.keys() == self._sent.keys()
        assert self.simulator.doubles() == []
        held = [at[order] - sent for order, sent in self._sent.items()]
        print("seconds until good orders were charged:", " ".join(f"{seconds:.1f}" for seconds in held))
        return held


def test_h3_a_good_order_after_twenty_bad_ones_and_a_pause_is_not_held(system: System) -> None:
    shop = Shop(system)
    shop.bad(20)
    eventually(lambda: is_open(shop.payment), "many keys fail and none does not")
    time.sleep(2)
    assert is_open(shop.payment)
    shop.good()
    assert max(shop.held()) <= HELD, shop.held()


def test_h3_a_good_order_behind_a_hundred_bad_ones_is_not_held(system: System) -> None:
    shop = Shop(system)
    shop.bad(20)
    eventually(lambda: is_open(shop.payment), "many keys fail and none does not")
    time.sleep(2)
    shop.bad(100)
    shop.good()
    assert max(shop.held()) <= HELD, shop.held()


def test_h3_good_orders_among_many_bad_ones_are_not_held(system: System) -> None:
    """Ten bad ones a second, and a good one every two seconds."""
    shop = Shop(system)
    opened = False
    for tenth in range(200):
        shop.bad(1)
        if tenth % 20 == 19:
            shop.good()
        opened = opened or is_open(shop.payment)
        time.sleep(0.1)
    assert opened, "the bad ones open it"
    assert max(shop.held()) <= HELD, shop.held()


def test_whether_it_is_open_can_be_seen_from_the_start(system: System) -> None:
    system.simulator()
    (payment,) = system.start("payment")
    for _ in range(2):
        assert 'eventbus_breaker_open{service="payment"} 0.0' in payment.get("/metrics").text
        payment.kill()
        payment.start().wait_ready()
