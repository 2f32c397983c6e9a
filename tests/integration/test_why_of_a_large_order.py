"""The largest orders have thousands of records: all are told, and the replica serves others meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from schemas import AdjustStock
from tests.integration.history import Shop
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

LINES = 1_000
PRODUCTS = [f"p{n}" for n in range(LINES)]
MORE_MEMORY = 150_000_000
"""Bytes that two questions about the order may take."""

pytestmark = pytest.mark.large


@pytest.fixture
def shop(system: System) -> Shop:
    shop = Shop(system)
    shop.start()
    system.topics.send(*(AdjustStock(product_id=p, quantity=9, reason="delivery") for p in PRODUCTS))
    system.wait_consumed("inventory")
    return shop


class Ordinary:
    """Asks a replica for an order again and again, as any client does."""

    def __init__(self, url: str) -> None:
        self.waits: list[float] = []
        self._url, self._ended = url, threading.Event()

    def __call__(self) -> None:
        with httpx.Client() as client:
            while not self._ended.is_set():
                began = time.monotonic()
                assert client.get(self._url, timeout=30).status_code == 200
                self.waits.append(time.monotonic() - began)

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Asks while the block runs."""
        with ThreadPoolExecutor(1) as thread:
            asking = thread.submit(self)
            try:
                yield
            finally:
                self._ended.set()
            asking.result()


def memory(process: ServiceProcess) -> float:
    """Bytes of memory that a process has."""
    lines = process.get("/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("process_resident_memory_bytes ")))


def test_an_order_of_a_thousand_lines_is_told_whole_twice_at_once_and_others_are_served(shop: Shop) -> None:
    items = [{"productId": product, "quantity": 1, "unitPrice": "0.01"} for product in PRODUCTS]
    order_id = shop.order("CONFIRMED", items=items)
    shop.wait_settled()
    replica = shop["order"]
    assert replica.post(f"/orders/{order_id}/cancel").status_code == 202
    shop.ends[order_id] = "CANCELLED"
    shop.wait_quiet()

    url = f"http://127.0.0.1:{replica.port}/orders/{order_id}"
    before = memory(replica)
    ordinary = Ordinary(url)
    with ordinary.meanwhile(), ThreadPoolExecutor(6) as several:
        answers = list(several.map(lambda _: httpx.get(f"{url}/why", timeout=60), range(6)))
    assert memory(replica) - before < MORE_MEMORY
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] >= 2 and statuses[503] >= 1 and statuses.total() == statuses[200] + statuses[503]
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 503)
    print(f"{len(ordinary.waits)} reads meanwhile, the longest took {max(ordinary.waits):.3f} s; {statuses}")
    assert max(ordinary.waits) < 2.0, "as long as a question takes"

    answer = eventually(lambda: complete(url), "there is time enough to read all of it")
    body = answer.json()
    types = Counter(row["type"] for row in body["records"])
    for name in ("ProductReserved", "StockReserved", "ProductReleased", "StockReleased"):
        assert types[name] == LINES, types
    assert types["OrderCreated"] == types["OrderCancelled"] == types["InventoryReleased"] == 1
    assert not [row for row in body["records"] if row.get("problem")]


def complete(url: str) -> httpx.Response:
    """The answer, if all of it is there."""
    answer = httpx.get(f"{url}/why", timeout=60)
    assert answer.json()["complete"], answer.json()["missing"]
    return answer
