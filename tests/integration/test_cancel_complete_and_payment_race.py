"""Whoever races, an order ends once: cancelled and completed on two replicas, at any moment, beside the payment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from threading import Event
from typing import Any

import httpx
import pytest

from tests.support.audits import assert_clean_audit
from tests.support.processes import ServiceProcess
from tests.support.system import Simulator, System
from tests.support.waiting import eventually

REFUSED = {
    "OrderCancelled": ["CompleteRefused"],
    "OrderCompleted": ["CancelRefused"],
    "OrderFailed": ["CancelRefused", "CompleteRefused"],
}
"""How an order ends, and the events of the wishes that lose."""
DECIDED = ("OrderCancelled", "OrderCompleted", "CancelRefused", "CompleteRefused")
"""What a wish leads to."""
PIECES, AMOUNT, STOCK = 2, 500, 10_000


@dataclass
class Race:
    """One order: how its wishes were answered, and its timeline once it has ended and both are decided."""

    order_id: str
    answers: dict[str, httpx.Response]
    kinds: Counter[str]

    @property
    def end(self) -> str:
        (end,) = [kind for kind in REFUSED if self.kinds[kind]]
        return end


@dataclass
class Course:
    """A system with two replicas of order, for one race beside the other."""

    system: System
    simulator: Simulator
    orders: list[ServiceProcess]
    inventory: ServiceProcess
    shipped: int = 0

    def run(self, number: int) -> Race:
        """Place an order, and ask two replicas for both wishes at moments that chance names.

        A third of the orders have settled by then.
        """
        dice = Random(number)
        body: dict[str, Any] = {
            "userId": "anne",
            "items": [{"productId": "cup", "quantity": PIECES, "unitPrice": "2.50"}],
            "paymentMethod": "tok_declined" if number % 8 == 0 else "tok_ok",
        }
        order_id = self.orders[0].post("/orders", json=body).json()["orderId"]
        if number % 3 == 0:  # on a busy machine none would be confirmed when the wishes come
            self.orders[0].get(f"/orders/{order_id}", params={"wait": 10}, timeout=20.0)
        verbs = dice.sample(["cancel", "complete"], 2)
        with ThreadPoolExecutor(2) as customers:
            wishes = {
                verb: customers.submit(
                    self._wish, replica, f"/orders/{order_id}/{verb}", dice.uniform(0, 0.3)
                )
                for replica, verb in zip(self.orders, verbs, strict=True)
            }
        answers = {verb: wish.result() for verb, wish in wishes.items()}

        found: Counter[str] = Counter()

        def shows_both() -> bool:
            events = self.orders[0].get(f"/orders/{order_id}/events").json()["events"]
            found.clear()
            found.update(event["type"] for event in events)
            return sum(found[kind] for kind in DECIDED) == len(verbs)

        eventually(shows_both, f"{order_id} has ended and shows both wishes")
        return Race(order_id, answers, found)

    def _wish(self, replica: ServiceProcess, path: str, after: float) -> httpx.Response:
        Event().wait(after)  # the moment is what the race is about
        return replica.post(path, timeout=20.0)


@pytest.fixture(scope="module")
def course(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    system = System(kafka, tmp_path_factory.mktemp("races"), partitions=4)
    simulator = system.simulator()
    orders = [system.service("order", slot).start() for slot in range(2)]
    inventory, *others = [system.service(n).start() for n in ("inventory", "payment", "notification")]
    for replica in (*orders, inventory, *others):
        replica.wait_ready()
    eventually(lambda: [replica.leads() for replica in orders] == [2, 2], "each leads half of the tasks")
    system.stock(inventory, STOCK, "cup")
    yield Course(system, simulator, orders, inventory)
    system.close()


@pytest.mark.parametrize(
    "races", [40, pytest.param(1_000, marks=[pytest.mark.large, pytest.mark.timeout(900)])]
)
def test_every_race_has_one_end_and_names_who_lost(course: Course, races: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        ran = list(pool.map(course.run, range(races)))
    for race in ran:
        assert [race.kinds[kind] for kind in REFUSED if race.kinds[kind]] == [1], race
        refused = {kind: n for kind, n in race.kinds.items() if kind in REFUSED["OrderFailed"]}
        assert refused == dict.fromkeys(REFUSED[race.end], 1), race
        for verb, done in (("cancel", "OrderCancelled"), ("complete", "OrderCompleted")):
            assert race.answers[verb].status_code == (202 if race.end == done else 409), race
    assert len({race.end for race in ran}) == 3, "each kind of end was reached: the races are races"
    assert_clean_audit(course.system, course.simulator)
    net: Counter[str] = Counter()
    for row in course.simulator.record():
        if row["outcome"] == "SUCCEEDED":
            net[row["orderId"]] += row["amount"] if row["kind"] == "CHARGE" else -row["amount"]
    completed = [race.order_id for race in ran if race.end == "OrderCompleted"]
    assert {race.order_id: net[race.order_id] for race in ran} == {
        race.order_id: AMOUNT if race.end == "OrderCompleted" else 0 for race in ran
    }
    course.shipped += len(completed)
    stock = course.inventory.get("/stock/cup").json()
    assert (stock["availableQty"], stock["reservedQty"]) == (STOCK - PIECES * course.shipped, 0)
