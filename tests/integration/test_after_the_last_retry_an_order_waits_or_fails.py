"""After the last try: the message is a dead letter and its order waits, or the payment fails at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from eventbus.admin import Discard, Redrive
from eventbus.retry.parked import ERRORS, State
from tests.integration.waits import Waits
from tests.support.processes import ServiceProcess
from tests.support.system import Simulator, System
from tests.support.waiting import eventually

QUICK: dict[str, Any] = {"EVENTBUS_RETRY_BACKOFF": "0.2"}


@dataclass
class Shop:
    """Four services; orders are posted to ``order``."""

    system: System
    order: ServiceProcess
    waits: Waits

    def place(self, method: str = "tok_unavailable") -> str:
        request = {"userId": "anne", "productId": "cup", "quantity": 1, "paymentMethod": method}
        answer = self.order.post("/orders", json=request)
        assert answer.status_code == 202, answer.text
        order_id: str = answer.json()["orderId"]
        return order_id

    def show(self, order_id: str) -> dict[str, Any]:
        body: dict[str, Any] = self.order.get(f"/orders/{order_id}").json()
        return body

    def wait_dead(self, order_id: str) -> None:
        eventually(lambda: self.waits.states(order_id) == [State.DEAD], "it is a dead letter")
        eventually(lambda: self.show(order_id).get("held", {}).get("attempts") == 3, "its order is held")

    def administer(self, command: Redrive | Discard) -> None:
        topics, key = self.system.topics, command.message_key
        value = topics.codec.encode(command)
        topics.send_bytes("payment.admin", topics.partition(key), key.encode(), value, [])

    def letters(self, order_id: str) -> list[str]:
        """The attempts of each dead letter of the order."""
        ours = [raw for raw in self.system.topics.read("payment.dlq") if raw.key == order_id.encode()]
        return [raw.header(ERRORS + "attempts") or "" for raw in ours]


def open_shop(system: System, order: dict[str, Any] | None = None, **payment: Any) -> Shop:
    (first,) = system.start("order", **(order or {}))
    inventory, _ = system.start("inventory", "notification")
    system.start("payment", **QUICK, **payment)
    system.stock(inventory, 100, "cup")
    return Shop(system, first, Waits(system, "payment"))


def charges(simulator: Simulator, order_id: str) -> list[str]:
    return [row["outcome"] for row in simulator.record() if row["orderId"] == order_id]


def test_a_dead_letter_holds_its_order_until_it_is_redriven(system: System) -> None:
    shop = open_shop(system)
    order_id = shop.place("tok_ok")  # there is no gateway yet
    shop.wait_dead(order_id)
    assert shop.letters(order_id) == ["3"]
    assert shop.show(order_id)["status"] == "PROCESSING", "inventory has answered, payment has not"

    simulator = system.simulator()
    shop.administer(Redrive(message_key=order_id))
    shop.administer(Redrive(message_key=order_id))

    eventually(lambda: shop.show(order_id)["status"] == "CONFIRMED", "it goes through as it is")
    eventually(lambda: "held" not in shop.show(order_id), "nothing holds it")
    assert shop.waits.states(order_id) == [State.RESOLVED]
    assert charges(simulator, order_id) == ["SUCCEEDED"]
    assert shop.letters(order_id) == ["3"]


def test_one_that_fails_again_is_a_dead_letter_again_and_may_be_discarded(system: System) -> None:
    simulator = system.simulator()
    shop = open_shop(system)
    order_id = shop.place()
    shop.wait_dead(order_id)

    shop.administer(Redrive(message_key=order_id))
    eventually(lambda: shop.letters(order_id) == ["3", "3"], "it has died once more")
    shop.wait_dead(order_id)

    shop.administer(Discard(message_key=order_id))
    eventually(lambda: shop.waits.states(order_id) == [State.DISCARDED], "a person has put it aside")
    eventually(lambda: "held" not in shop.show(order_id), "nothing holds it")
    assert shop.show(order_id)["status"] == "PROCESSING"
    assert shop.order.post(f"/orders/{order_id}/cancel").status_code == 202
    eventually(lambda: shop.show(order_id)["inventory"] == "RELEASED", "it can still be ended")
    assert charges(simulator, order_id) == []


def test_a_dead_letter_is_ended_by_its_orders_deadline(system: System) -> None:
    simulator = system.simulator()
    shop = open_shop(system, {"ORDER_DEADLINE": "8s"})
    order_id = shop.place()
    shop.wait_dead(order_id)

    eventually(lambda: shop.show(order_id)["payment"] == "VOIDED", "the deadline has ended it")
    eventually(lambda: shop.show(order_id)["inventory"] == "RELEASED", "what was reserved is given back")
    order = shop.show(order_id)
    assert (order["status"], order["failure"]["stage"]) == ("FAILED", "EXPIRED")
    eventually(lambda: "held" not in shop.show(order_id), "it is held no more")
    assert charges(simulator, order_id) == ["VOIDED"]
    assert shop.letters(order_id) == ["3"]


@pytest.mark.parametrize("method", ["tok_unavailable", "tok_timeout"])
def test_it_may_be_settled_at_once_instead(system: System, method: str) -> None:
    """With one try only, so that the charge of tok_timeout is made and nobody heard of it."""
    simulator = system.simulator()
    tries = "1" if method == "tok_timeout" else "3"
    shop = open_shop(
        system, PAYMENT_ON_EXHAUSTED="fail", EVENTBUS_RETRY_ATTEMPTS=tries, PAYMENT_GATEWAY_TIMEOUT="0.5"
    )
    order_id = shop.place(method)

    eventually(lambda: shop.show(order_id)["status"] == "FAILED", "it has failed")
    order = shop.show(order_id)
    assert order["failure"]["stage"] == "PAYMENT"
    eventually(lambda: "held" not in shop.show(order_id), "what became of the charge is found out")
    found = eventually(lambda: charges(simulator, order_id), "the gateway has heard of it")
    assert found == (["VOIDED"] if method == "tok_unavailable" else ["SUCCEEDED", "SUCCEEDED"])
    moved = [(row["kind"], row["amount"]) for row in simulator.record() if row["outcome"] == "SUCCEEDED"]
    assert moved in ([], [("CHARGE", 100), ("REFUND", 100)])
    assert shop.letters(order_id) == []
    wanted = "FAILED" if method == "tok_unavailable" else "REFUNDED"
    eventually(lambda: shop.show(order_id)["payment"] == wanted, f"its payment is {wanted}")
