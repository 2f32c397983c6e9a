"""Every process is killed in turn, with ``kill -9`` and with work under way: it comes back, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from tests.e2e.running import SERVICES, LocalStack
from tests.e2e.shop import Shop, assert_problem, order_of
from tests.e2e.waiting import until


class Customer:
    """Places orders one after the other, each until it is accepted: by its key, a repeat is the same order."""

    def __init__(self, shop: Shop, product: str) -> None:
        self.orders: list[str] = []
        self._shop, self._product, self._enough = shop, product, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._enough.is_set():
            key = str(uuid4())
            answer = until(lambda: self._placed(key), 60.0, "an order is accepted")  # noqa: B023
            self.orders.append(answer.json()["orderId"])

    def _placed(self, key: str) -> httpx.Response | None:
        answer = self._shop.post(order_of(self._product), Idempotency_Key=key)
        assert answer.status_code in (202, 503), answer.text
        return answer if answer.status_code == 202 else None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Inside, orders are placed; it begins when the first few are and ends when a few more are."""
        self._thread.start()
        self.await_more()
        yield
        self.await_more()
        self._enough.set()
        self._thread.join(60.0)
        assert not self._thread.is_alive()

    def await_more(self, count: int = 10) -> None:
        """Return once so many more orders are accepted."""
        wanted = len(self.orders) + count
        until(lambda: len(self.orders) >= wanted, 60.0, f"{count} more orders are accepted")


def assert_all_went_well(shop: Shop, customer: Customer, product: str, stocked: int) -> None:
    """Every order is confirmed, paid once and reserved once."""
    for order_id in customer.orders:
        order = shop.settled(order_id)
        assert (order["status"], order["payment"], order["inventory"]) == ("CONFIRMED", "PAID", "RESERVED")
        assert shop.kinds(order_id).count("OrderCreated") == 1
    assert len(set(customer.orders)) == len(customer.orders)
    shop.await_stock(product, stocked - len(customer.orders), len(customer.orders))
    assert shop.simulator.get("/doubles").json() == []


@pytest.mark.parametrize("name", [*SERVICES, "simulator", "kafka"])
def test_what_is_killed_comes_back_and_nothing_is_lost(
    stack: LocalStack, local_shop: Shop, name: str
) -> None:
    product = local_shop.stocked(100_000)
    customer = Customer(local_shop, product)
    with customer.busy():
        before = stack.kill(name)
        stack.await_restart(name, before)
        stack.await_ready()
    assert_all_went_well(local_shop, customer, product, 100_000)


def assert_orders_go_through_again(shop: Shop, product: str) -> None:
    """Kafka is back. An order is accepted before the service has caught up; until then it answers reads with 503."""

    def accepted() -> str | None:
        answer = shop.post(order_of(product))
        return str(answer.json()["orderId"]) if answer.status_code == 202 else None

    order_id = until(accepted, 30.0, "orders are accepted again")
    until(lambda: shop.order.get(f"/orders/{order_id}").status_code == 200, 30.0, "reads are answered again")
    assert shop.settled(order_id)["status"] == "CONFIRMED"


def test_without_kafka_nothing_is_falsely_accepted_and_all_recovers(
    stack: LocalStack, local_shop: Shop
) -> None:
    product = local_shop.stocked(100)
    known = local_shop.confirmed(order_of(product))
    with stack.without("kafka"):
        begun = time.monotonic()
        answer = local_shop.post(order_of(product))
        assert time.monotonic() - begun < 5.0
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    local_shop.await_fields(known, status="CONFIRMED")
    stack.await_ready()
    assert_orders_go_through_again(local_shop, product)


def test_reads_go_on_for_a_while_without_kafka(stack: LocalStack, local_shop: Shop) -> None:
    product = local_shop.stocked(100)
    known = local_shop.confirmed(order_of(product))
    with stack.without("kafka"):
        assert local_shop.get(known)["status"] == "CONFIRMED"
        assert local_shop.stock(product) == (99, 1)
        refused = lambda: local_shop.order.get(f"/orders/{known}").status_code == 503  # noqa: E731
        until(refused, 30.0, "a replica that has not heard from Kafka says so")
    stack.await_ready()
    assert local_shop.await_fields(known, status="CONFIRMED")
    assert_orders_go_through_again(local_shop, product)


def test_a_second_up_changes_nothing(stack: LocalStack) -> None:
    before = stack.pids()
    assert "Ready after" in stack.verb("up")
    assert stack.pids() == before
