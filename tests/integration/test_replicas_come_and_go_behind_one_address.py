"""Behind the gateway, while replicas come and go: a read is right or 503, and no order is made twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest

from schemas import OrderCreated
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually
from tools.stack.gateway import FILES, config_for, find
from tools.stack.ports import free_ports

pytestmark = pytest.mark.skipif(not find(), reason="HAProxy is not installed: the gateway cannot be tested")


@dataclass
class Gateway:
    """HAProxy in front of the replicas of order and inventory."""

    order: str
    inventory: str
    process: subprocess.Popen[bytes]


@dataclass
class Watch:
    """Clients that ask all the time, and what they met that must not be."""

    gateway: Gateway
    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _clients: list[threading.Thread] = field(default_factory=list)

    def add(self, ask: Callable[[httpx.Client], None]) -> None:
        """One more client that asks again and again."""

        def go_on() -> None:
            with httpx.Client(timeout=60.0) as client:
                while not self._stop.is_set():
                    try:
                        ask(client)
                    except httpx.TransportError as error:
                        # HAProxy closes the connection of a client if a replica breaks off on a request that is not
                        # the first on it. What a POST did is not known then. One with a key would be sent again.
                        if ask.__name__.startswith("read"):
                            self.wrong.append(f"{ask.__name__} got no answer: {error!r}")

        self._clients.append(threading.Thread(target=go_on))
        self._clients[-1].start()

    def note(self, what: str, answer: httpx.Response, right: bool) -> None:
        """Count an answer; it must be right, or 503 that says when to ask again."""
        self.answers[f"{what} {answer.status_code}"] += 1
        unavailable = answer.status_code == 503 and answer.headers.get("retry-after", "").isdecimal()
        if not right and not unavailable:
            self.wrong.append(f"{what}: {answer.status_code} {answer.headers} {answer.text[:300]}")

    def end(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.join()


@dataclass
class Shop:
    """Two replicas of order and of inventory. Nobody pays, and what is ordered is never there."""

    system: System
    orders: list[ServiceProcess]
    inventories: list[ServiceProcess]
    gateway: Gateway

    def settle(self, ids: list[str]) -> None:
        """Return once nothing happens to these orders any more."""
        for order_id in ids:
            eventually(lambda i=order_id: self._is_released(i), "the order has failed for good")  # type: ignore[misc]

    def _is_released(self, order_id: str) -> bool:
        """Both replicas know the last that is said of an order that failed for want of stock."""
        found = [replica.get(f"/orders/{order_id}/events").json()["events"] for replica in self.orders]
        return all(events[-1]["type"] == "OrderReleased" for events in found)


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("gateway"), partitions=4)
    orders, inventories = (
        [system.service(name, slot).start() for slot in range(2)] for name in ("order", "inventory")
    )
    for replica in (*orders, *inventories):
        replica.wait_ready()
    ports = free_ports(2)
    file = system.directory / "gateway.cfg"
    wanted = {
        "order": (ports[0], [replica.port for replica in orders]),
        "inventory": (ports[1], [replica.port for replica in inventories]),
    }
    file.write_text(config_for(wanted))
    command = [find(), "-W", "-db", "-f", str(FILES / "rules.cfg"), "-f", str(file)]
    with (system.directory / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "GATEWAY_FILES": str(FILES)}, stdout=log, stderr=log
        )
    gateway = Gateway(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", process)
    for url in (gateway.order, gateway.inventory):
        eventually(lambda u=url: _is_ready(u), "the gateway knows the replicas as ready")  # type: ignore[misc]
    yield Shop(system, orders, inventories, gateway)
    process.terminate()
    process.wait(10)
    system.close()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def watch(shop: Shop, known: dict[str, Any], placed: list[str]) -> Watch:
    """Clients that read what is known, and place orders with and without keys; ``placed`` gets the customers."""
    watching, numbers = Watch(shop.gateway), count()
    order, inventory = shop.gateway.order, shop.gateway.inventory

    def read_orders(client: httpx.Client) -> None:
        for order_id, expected in known.items():
            answer = client.get(f"{order}/orders/{order_id}")
            watching.note("GET order", answer, answer.status_code == 200 and answer.json() == expected)

    def read_stock(client: httpx.Client) -> None:
        answer = client.get(f"{inventory}/stock/plate")
        watching.note("GET stock", answer, answer.status_code == 200 and answer.json()["availableQty"] == 70)

    def place(client: httpx.Client) -> None:
        customer = f"without-{next(numbers)}"
        body = {"userId": customer, "productId": "never-in-stock", "quantity": 1}
        answer = client.post(f"{order}/orders", json=body)
        placed.append(customer)
        # Whose answer was lost may have been placed: nobody repeats it, and the client is told.
        watching.note("POST", answer, answer.status_code in (202, 502))

    def place_with_key(client: httpx.Client) -> None:
        customer = f"with-{next(numbers)}"
        body = {"userId": customer, "productId": "never-in-stock", "quantity": 1}
        while True:
            answer = client.post(f"{order}/orders", json=body, headers={"Idempotency-Key": customer})
            watching.note("POST with key", answer, answer.status_code == 202)
            if answer.status_code == 202:
                placed.append(customer)
                return

    def adjust_with_key(client: httpx.Client) -> None:
        product, path = f"product-{next(numbers)}", "/stock/{}/adjustments"
        while True:
            answer = client.post(
                f"{inventory}{path.format(product)}",
                json={"quantity": 5, "reason": "delivery"},
                headers={"Idempotency-Key": "k"},
            )
            right = answer.status_code == 202 and answer.json()["availableQty"] == 5
            watching.note("adjust with key", answer, right)
            if answer.status_code == 202:
                return

    for ask in (read_orders, read_stock, place, place_with_key, adjust_with_key):
        watching.add(ask)
    return watching


@pytest.mark.large
@pytest.mark.timeout(600)
def test_reads_are_right_or_503_and_no_order_is_made_twice(shop: Shop) -> None:
    order, inventory = shop.gateway.order, shop.gateway.inventory
    answer = httpx.post(f"{inventory}/stock/plate/adjustments", json={"quantity": 70, "reason": "delivery"})
    assert answer.status_code == 202
    body = {"userId": "known", "productId": "never-in-stock", "quantity": 1}
    ids = [httpx.post(f"{order}/orders", json=body).json()["orderId"] for _ in range(20)]
    shop.settle(ids)
    known = {order_id: httpx.get(f"{order}/orders/{order_id}").json() for order_id in ids}
    placed: list[str] = []
    watching = watch(shop, known, placed)
    try:
        first, second = ([those[slot] for those in (shop.orders, shop.inventories)] for slot in range(2))
        for replica in first:
            replica.kill()
        eventually(lambda: all(r.leads() == 4 for r in second), "the others have taken over")
        for replica in first:
            replica.start()
        for replica in first:
            replica.wait_ready()
        for replica in second:
            replica.stop()
            shutil.rmtree(shop.system.settings.state_dir / replica.name)
        eventually(lambda: all(r.leads() == 4 for r in first), "the others have taken over")
        for replica in second:
            replica.start()
        for replica in second:
            replica.wait_ready()
        for replica in shop.orders:
            replica.kill()
        eventually(lambda: watching.answers["GET order 503"], "nobody is there")
        for replica in shop.orders:
            replica.start()
        for replica in shop.orders:
            replica.wait_ready()
        before = watching.answers["GET order 200"]
        eventually(lambda: watching.answers["GET order 200"] > before + 50, "orders are read again")
    finally:
        watching.end()
    assert not watching.wrong, (len(watching.wrong), watching.wrong[:3], watching.answers)
    shop.system.wait_consumed("order")
    created = Counter(
        m.user_id for m in shop.system.topics.messages("order.events") if isinstance(m, OrderCreated)
    )
    assert created.pop("known") == len(ids)
    assert set(created.values()) == {1}, "each other customer has placed one order"
    assert {customer for customer in placed if customer.startswith("with-")} <= created.keys()
