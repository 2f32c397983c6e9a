"""A key that fails waits, in order, without holding anybody up; what waits survives crashes and takeovers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from eventbus.retry.parked import State
from schemas import PaymentSucceeded
from tests.integration.orders import created, failed, order_ids
from tests.integration.waits import Waits
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.topic_client import by_key
from tests.support.waiting import eventually

SLOW: dict[str, Any] = {"EVENTBUS_RETRY_BACKOFF": "4", "EVENTBUS_RETRY_ATTEMPTS": "9"}
"""Long enough waits for a test to see them."""


@pytest.fixture
def waits(system: System) -> Waits:
    return Waits(system, "payment")


def in_one_partition(system: System, count: int) -> list[str]:
    return [i for i in order_ids(20 * count) if system.topics.partition(i) == 0][:count]


def names(system: System, order_id: str) -> list[str]:
    return [m.name for m in system.topics.messages("payment.events") if m.key == order_id]


def test_a_key_that_fails_waits_with_its_later_messages_and_others_go_on_at_once(
    system: System, waits: Waits
) -> None:
    simulator = system.simulator()
    system.start("payment", **SLOW)
    bad, *good = in_one_partition(system, 30)
    began = time.monotonic()
    system.topics.send(created(bad, payment_method="tok_unavailable"), created(bad))
    system.topics.send(*(created(i) for i in good))

    def charged() -> bool:
        found = by_key(system.topics.messages("payment.events"))
        return {i: found.get(i) for i in good} == {i: ["PaymentSucceeded"] for i in good}

    eventually(charged, "the other keys of the partition are charged")
    assert time.monotonic() - began < 3, "they did not wait for the next try"
    eventually(lambda: len(waits.states(bad)) == 2, "both messages of the bad key wait, in their order")
    assert waits.states(bad) == [State.WAITING, State.WAITING]
    tried, behind = (parked.attempt for parked in waits.queue(bad))
    assert tried >= 1 and behind == 0
    assert names(system, bad) == ["ChargeUnresolved"]
    system.wait_consumed("payment")
    assert simulator.doubles() == []


def test_what_overtakes_ends_the_wait_and_later_messages_follow_it(system: System, waits: Waits) -> None:
    simulator = system.simulator()
    system.start("payment", **SLOW)
    (bad,) = order_ids(1)
    system.topics.send(created(bad, payment_method="tok_unavailable"))
    eventually(lambda: waits.states(bad) == [State.WAITING], "it waits")

    system.topics.send(failed(bad))

    eventually(
        lambda: names(system, bad) == ["ChargeUnresolved", "PaymentVoided", "ChargeWithdrawn"],
        "it is settled at once, and its charge withdrawn",
        timeout=3,
    )
    assert waits.states(bad) == [State.RESOLVED]
    outcomes = [row["outcome"] for row in simulator.record() if row["orderId"] == bad]
    assert outcomes == ["VOIDED"], "no charge can come of it any more"


def test_a_flaky_charge_is_made_by_itself_and_in_order(system: System, waits: Waits) -> None:
    simulator = system.simulator()
    system.start("payment", EVENTBUS_RETRY_BACKOFF="0.2")
    flaky = order_ids(3)
    system.topics.send(*(created(i, payment_method="tok_flaky") for i in flaky))
    system.topics.send(*(failed(i) for i in flaky[:1]))

    eventually(
        lambda: all("PaymentSucceeded" in names(system, i) for i in flaky[1:]),
        "those that are open are charged",
    )
    for i in flaky[1:]:
        keys = [(row["key"], row["outcome"]) for row in simulator.record() if row["orderId"] == i]
        assert keys == [
            (f"charge:{i}:1", "FAILED"),
            (f"charge:{i}:2", "FAILED"),
            (f"charge:{i}:3", "SUCCEEDED"),
        ]
        assert names(system, i) == ["ChargeUnresolved", "PaymentSucceeded"]
    assert "PaymentSucceeded" not in names(system, flaky[0])
    assert system.topics.messages("payment.dlq") == []
    assert simulator.doubles() == []


@pytest.mark.parametrize("way", ["the same", "another"])
def test_what_waits_survives_a_kill_and_goes_on_on(system: System, waits: Waits, way: str) -> None:
    simulator = system.simulator()
    first, second = system.service("payment", 0), system.service("payment", 1)
    first.start(**SLOW).wait_ready()
    bad = order_ids(4)
    system.topics.send(*(created(i, payment_method="tok_flaky") for i in bad))
    eventually(lambda: all(waits.states(i) == [State.WAITING] for i in bad), "all wait for the next try")
    system.topics.send(*(created(i) for i in bad))
    eventually(lambda: all(len(waits.states(i)) == 2 for i in bad), "what came later waits behind")
    before = {i: [(p.sequence, p.attempt, p.due, p.since) for p in waits.queue(i)] for i in bad}

    first.kill()
    assert {i: [(p.sequence, p.attempt, p.due, p.since) for p in waits.queue(i)] for i in bad} == before
    heir = first if way == "the same" else second
    heir.start(**SLOW, EVENTBUS_RETRY_LONGEST="0.5").wait_ready()

    eventually(lambda: all("PaymentSucceeded" in names(system, i) for i in bad), "all are charged")
    eventually(lambda: all(set(waits.states(i)) == {State.RESOLVED} for i in bad), "nothing waits any more")
    assert all(names(system, i) == ["ChargeUnresolved", "PaymentSucceeded"] for i in bad)
    assert simulator.doubles() == []


def test_a_gateway_that_never_answers_evicts_nobody(system: System, waits: Waits) -> None:
    """Every call times out: the loop turns, the group stays as it is, and all is charged once it can be."""
    simulator = system.simulator()
    (payment,) = system.start("payment", PAYMENT_GATEWAY_TIMEOUT="1", EVENTBUS_RETRY_BACKOFF="0.5")
    simulator.process.pause()
    ids = order_ids(60)
    system.topics.send(*(created(i) for i in ids))
    eventually(lambda: payment.metric("eventbus_breaker_open") == 1, "the breaker is open")
    led, until = payment.leads(), time.monotonic() + 8
    while time.monotonic() < until:
        assert payment.alive and payment.is_ready()
        assert payment.leads() == led == system.settings.partitions
        time.sleep(0.2)
    assert payment.metric("eventbus_transactions_aborted_total") == 0

    simulator.process.resume()
    eventually(
        lambda: sum(isinstance(m, PaymentSucceeded) for m in system.topics.messages("payment.events")) == 60,
        "all are charged",
    )
    assert payment.metric("eventbus_breaker_open") == 0
    assert system.topics.messages("payment.dlq") == []
    assert simulator.doubles() == []


@pytest.fixture
def order(system: System) -> ServiceProcess:
    """The order service, with all others running."""
    system.simulator()
    order, inventory, *_ = system.start("order", "inventory", "payment", "notification", **SLOW)
    system.stock(inventory, 100, "cup")
    return order


def test_an_order_shows_that_it_is_held_and_where_until_it_is_not(order: ServiceProcess) -> None:
    request = {"userId": "anne", "productId": "cup", "quantity": 1, "paymentMethod": "tok_unavailable"}
    began = time.time()
    order_id = order.post("/orders", json=request).json()["orderId"]

    held = eventually(lambda: order.get(f"/orders/{order_id}").json().get("held"), "it is held")

    assert (held["service"], held["attempts"]) == ("payment", 1)
    assert held["since"].startswith(time.strftime("%Y-%m-%dT%H:", time.gmtime(began)))
    assert order.get(f"/orders/{order_id}").json()["status"] in ("CREATED", "PROCESSING")
    assert order.post(f"/orders/{order_id}/cancel").status_code == 202
    eventually(
        lambda: "held" not in order.get(f"/orders/{order_id}").json(), "it is held no longer", timeout=3
    )
    body = order.get(f"/orders/{order_id}").json()
    assert (body["status"], body["payment"]) == ("CANCELLED", "VOIDED")
