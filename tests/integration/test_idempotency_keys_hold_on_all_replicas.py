"""One key, one effect, one answer: asked at once on two replicas, after takeovers, and without any state on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest

from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

ORDER = {"userId": "anne", "items": [{"productId": "cup", "quantity": 2, "unitPrice": "2.50"}]}
names = (f"key-{number}" for number in count())


@dataclass
class Shop:
    """Two replicas of order and of inventory, and one each of the others."""

    system: System
    orders: list[ServiceProcess]
    inventories: list[ServiceProcess]
    others: list[ServiceProcess]

    def stocked(self, pieces: int) -> str:
        product = f"product-{next(names)}"
        self.system.stock(self.inventories[0], pieces, product)
        return product

    def order(self, product: str = "cup") -> str:
        """A new order; its id."""
        body = {"userId": "anne", "items": [{"productId": product, "quantity": 2, "unitPrice": "2.50"}]}
        return str(self.orders[0].post("/orders", json=body).json()["orderId"])

    def timeline(self, order_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.orders[0].get(f"/orders/{order_id}/events").json()["events"]
        return events

    def has(self, replica: ServiceProcess, product: str, pieces: int) -> bool:
        """Whether a replica shows so many pieces of a product."""
        return bool(replica.get(f"/stock/{product}").json()["availableQty"] == pieces)

    def is_back(self) -> bool:
        """Every task of both services is led."""
        partitions = self.system.settings.partitions
        return all(
            sum(one.leads() for one in those) == partitions for those in (self.orders, self.inventories)
        )


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("keys"), partitions=4)
    simulator = system.simulator()
    assert simulator.process.alive
    orders = [system.service("order", slot).start() for slot in range(2)]
    inventories = [system.service("inventory", slot).start() for slot in range(2)]
    others = [system.service(name).start() for name in ("payment", "notification")]
    for replica in (*orders, *inventories, *others):
        replica.wait_ready()
    found = Shop(system, orders, inventories, others)
    eventually(found.is_back, "all tasks are led")
    system.stock(inventories[0], 100_000, "cup")
    yield found
    system.close()


Ask = Callable[[ServiceProcess], httpx.Response]


def asked(path: str, key: str, body: Any = None) -> Ask:
    """A request with a key, to be sent to any replica."""
    content: dict[str, Any] = {} if body is None else {"json": body}
    return lambda replica: replica.post(path, headers={"Idempotency-Key": key}, timeout=20.0, **content)


def at_once(ask: Ask, replicas: list[ServiceProcess], times: int = 4) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(replicas) * times) as clients:
        return list(clients.map(ask, replicas * times))


def assert_one_answer(answers: list[httpx.Response], status: int) -> None:
    assert {answer.status_code for answer in answers} == {status}, [answer.text for answer in answers]
    assert len({answer.content for answer in answers}) == 1
    replays = [answer.headers.get("idempotent-replay") for answer in answers]
    assert sorted(replays, key=str) == [None] + ["true"] * (len(answers) - 1)


def test_orders_that_race_on_two_replicas_are_one_order(shop: Shop) -> None:
    for _ in range(5):
        answers = at_once(asked("/orders", next(names), ORDER), shop.orders)
        assert_one_answer(answers, 202)
        kinds = [event["type"] for event in shop.timeline(answers[0].json()["orderId"])]
        assert kinds.count("OrderCreated") == 1


def test_cancellations_that_race_on_two_replicas_are_one(shop: Shop) -> None:
    for _ in range(5):
        order_id = shop.order()
        ask = asked(f"/orders/{order_id}/cancel", next(names), {"reason": "too late"})
        assert_one_answer(at_once(ask, shop.orders), 202)
        kinds = [event["type"] for event in shop.timeline(order_id)]
        assert kinds.count("OrderCancelled") == 1
        assert "CommandRepeated" not in kinds, "a repeat of the request leads to nothing"


def test_completions_that_race_with_the_confirmation_get_one_answer(shop: Shop) -> None:
    """Some come before the order is confirmed, and others after it: what the first one was told, all are told."""
    for _ in range(10):
        order_id = shop.order()
        answers = at_once(asked(f"/orders/{order_id}/complete", next(names)), shop.orders)
        assert_one_answer(answers, answers[0].status_code)
        assert answers[0].status_code in (202, 409)
        kinds = [event["type"] for event in shop.timeline(order_id)]
        assert kinds.count("OrderCompleted") == (answers[0].status_code == 202)
        assert kinds.count("CompleteRefused") == (answers[0].status_code == 409)


def test_adjustments_that_race_on_two_replicas_are_one(shop: Shop) -> None:
    for pieces, status in ((-3, 202), (-30, 409)):
        product = shop.stocked(10)
        body = {"quantity": pieces, "reason": "broken"}
        answers = at_once(asked(f"/stock/{product}/adjustments", next(names), body), shop.inventories)
        assert_one_answer(answers, status)
        left = 10 + pieces if status == 202 else 10
        for replica in shop.inventories:
            eventually(partial(shop.has, replica, product, left), "the adjustment shows once")


def test_the_first_answers_outlive_restarts_takeovers_and_the_state_directory(shop: Shop) -> None:
    product, refusing = shop.stocked(10), shop.order("never-in-stock")
    cancelled = shop.order()
    asks: list[tuple[str, Ask]] = [
        ("orders", asked("/orders", next(names), ORDER)),
        ("orders", asked(f"/orders/{cancelled}/cancel", next(names), {"reason": "too late"})),
        ("orders", asked(f"/orders/{refusing}/complete", next(names))),
        (
            "inventories",
            asked(f"/stock/{product}/adjustments", next(names), {"quantity": -3, "reason": "x"}),
        ),
        (
            "inventories",
            asked(f"/stock/{product}/adjustments", next(names), {"quantity": -30, "reason": "x"}),
        ),
    ]
    first = [ask(getattr(shop, replicas)[0]) for replicas, ask in asks]
    assert [answer.status_code for answer in first] == [202, 202, 409, 202, 409]
    shop.system.stock(shop.inventories[0], 100, product)

    def still_the_same() -> None:
        for (replicas, ask), answer in zip(asks, first, strict=True):
            for replica in getattr(shop, replicas):
                again = ask(replica)
                assert (again.status_code, again.content) == (answer.status_code, answer.content)
                assert again.headers["idempotent-replay"] == "true"

    still_the_same()
    for killed in (shop.orders[0], shop.inventories[0]):
        killed.kill()
    ended = [shop.orders.pop(0), shop.inventories.pop(0)]
    eventually(shop.is_back, "the others have taken over")
    still_the_same()
    for back, those in zip(ended, (shop.orders, shop.inventories), strict=True):
        those.insert(0, back)
    for replica in (*shop.orders, *shop.inventories):
        replica.kill()
    for name in ("order", "inventory"):
        for slot in range(2):
            shutil.rmtree(shop.system.settings.state_dir / f"{name}-{slot}")
    for replica in (*shop.orders, *shop.inventories):
        replica.start()
    for replica in (*shop.orders, *shop.inventories):
        replica.wait_ready()
    still_the_same()
    eventually(shop.is_back, "all tasks are led again")
    still_the_same()
