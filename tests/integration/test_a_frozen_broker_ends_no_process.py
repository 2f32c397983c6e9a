"""Kafka stands still for 3 to 5 seconds, again and again, under orders: all goes on soon, in the same processes.

Such a freeze is longer than the sessions of the group's members and of the broker itself: when it goes on, it fences
them all, and names no broker for a moment. The long run, and what it measured, is shown by

    .venv/bin/python -m pytest tests/integration/test_a_frozen_broker_ends_no_process.py -m slow -s
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import KafkaException

from schemas import OrderConfirmed
from tests.support.processes import ServiceProcess
from tests.support.system import SERVICES, System
from tests.support.waiting import eventually
from tools.stack.kafka import LocalKafka

BODY = {"userId": "anne", "productId": "cup", "quantity": 1}
RATE = 8.0
"""Customers a second."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of its own, always a local process: it is frozen."""
    with LocalKafka(tmp_path / "kafka", short_lived=True) as broker:
        yield broker
        broker.resume()


class Shop:
    """Customers who come one after the other, each with a key, and ask again until their order is taken."""

    def __init__(self, system: System, order: ServiceProcess, dice: random.Random) -> None:
        self._url, self._dice, self._system = f"http://127.0.0.1:{order.port}", dice, system
        self._closed = threading.Event()
        self.customers: list[threading.Thread] = []
        self.taken: set[str] = set()
        self._entrance = threading.Thread(target=self._let_in, daemon=True)

    def __enter__(self) -> Shop:
        self._entrance.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody comes any more; those who are there stay until their order is taken."""
        self._closed.set()
        self._entrance.join()
        for customer in self.customers:
            customer.join(60)

    def _let_in(self) -> None:
        while not self._closed.wait(self._dice.expovariate(RATE)):
            customer = threading.Thread(target=self._buy, daemon=True)
            self.customers.append(customer)
            customer.start()

    def _buy(self) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        with httpx.Client(base_url=self._url, timeout=15) as client:
            while True:
                answer = client.post("/orders", json=BODY, headers=headers)
                if answer.status_code == 202:
                    self.taken.add(answer.json()["orderId"])
                    return
                assert answer.status_code == 503, answer.text
                time.sleep(0.5)

    def confirmed(self, since: int = 0) -> set[str]:
        """The orders confirmed since then (ms since epoch)."""
        try:
            events = self._system.topics.messages("order.events")
        except KafkaException as error:
            raise AssertionError("the broker does not answer yet") from error
        return {e.key for e in events if isinstance(e, OrderConfirmed) and e.timestamp >= since}


@pytest.mark.parametrize(
    ("freezes", "patience"),
    [
        pytest.param(3, 10.0, marks=pytest.mark.timeout(240)),
        pytest.param(20, 5.0, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_h2_orders_go_on_soon_after_a_frozen_broker_does_and_no_process_ends(
    broker: LocalKafka, tmp_path: Path, freezes: int, patience: float
) -> None:
    dice = random.Random(freezes)
    system = System(broker.bootstrap_servers, tmp_path / "system", partitions=6)
    try:
        simulator = system.simulator()
        services = dict(zip(SERVICES, system.start(*SERVICES), strict=True))
        system.stock(services["inventory"], 1_000_000, "cup")
        waited = []
        with Shop(system, services["order"], dice) as shop:
            eventually(lambda: len(shop.confirmed()) > 10, "orders are confirmed", timeout=60)
            for _ in range(freezes):
                time.sleep(dice.uniform(2, 4))
                broker.pause()
                time.sleep(dice.uniform(3, 5))
                broker.resume()
                waited.append(next_confirmed(shop))
                ended = [name for name, process in services.items() if not process.alive]
                assert not ended, [services[name].tail() for name in ended]
        print("seconds to the first order confirmed:", " ".join(f"{s:.1f}" for s in sorted(waited)))
        assert max(waited) <= patience, waited
        assert len(shop.taken) == len(shop.customers), "who asks again loses nothing, and orders once"
        eventually(lambda: shop.confirmed() >= shop.taken, "all orders taken are confirmed")
        assert shop.confirmed() == shop.taken
        assert simulator.doubles() == []
    finally:
        broker.resume()
        system.close()


def next_confirmed(shop: Shop) -> float:
    """Seconds until an order is confirmed, decided from now on."""
    began, now = time.monotonic(), time.time_ns() // 1_000_000
    eventually(lambda: shop.confirmed(since=now), "orders are confirmed again", timeout=60)
    return time.monotonic() - began
