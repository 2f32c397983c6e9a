"""Kafka stands still or dies: nothing is promised that is not durable, reads go on for a while, all recovers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.support.processes import ServiceProcess
from tests.support.system import System, problem
from tests.support.waiting import eventually
from tools.stack.kafka import LocalKafka

T = TypeVar("T")
BODY = {"userId": "anne", "productId": "cup", "quantity": 1}
WATCHDOG = 70
"""The exit status of a process whose loop stood still."""
SESSION = 4.0
"""Seconds after which a replica that hears nothing refuses to speak of what it knows."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker of its own, always a local process: it is frozen and killed."""
    with LocalKafka(tmp_path_factory.mktemp("away"), short_lived=True) as broker:
        yield broker
        broker.resume()


@pytest.fixture(scope="module")
def system(broker: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(broker.bootstrap_servers, tmp_path_factory.mktemp("system"))
    yield system
    system.close()


@pytest.fixture(scope="module")
def order(system: System) -> ServiceProcess:
    return system.start("order", EVENTBUS_SESSION_TIMEOUT=str(SESSION))[0]


def place(order: ServiceProcess) -> str:
    answer = order.post("/orders", json=BODY)
    assert answer.status_code == 202, answer.text
    order_id: str = answer.json()["orderId"]
    return order_id


def status(order: ServiceProcess, order_id: str) -> str | None:
    return order.get(f"/orders/{order_id}").json().get("status")  # type: ignore[no-any-return]


def is_back(order: ServiceProcess) -> bool:
    """Ready again. A client of Kafka that never comes back from an outage ends its process: start it again."""
    if not order.alive:
        assert order.returncode in (1, WATCHDOG), order.tail()
        order.start()
    return order.is_ready()


def recovers(order: ServiceProcess, probe: Callable[[], T], what: str) -> T:
    """Return what ``probe`` gives once the service is back."""

    def once_back() -> T | None:
        try:
            return probe() if is_back(order) else None
        except httpx.TransportError:
            return None

    found = eventually(once_back, what, timeout=75)
    assert found is not None
    return found


def refuse_in_time(order: ServiceProcess, verb: str, path: str, **options: Any) -> None:
    began = time.monotonic()
    answer = order.http.request(verb, path, **options)
    took = time.monotonic() - began
    assert answer.status_code == 503, f"{verb} {path}: {answer.status_code} {answer.text}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert problem(answer)["status"] == 503
    assert took < 5.0, f"{verb} {path} took {took:.1f} s"


@pytest.fixture(autouse=True)
def present(broker: LocalKafka) -> Iterator[None]:
    """Kafka is there before and after each test."""
    yield
    broker.resume()
    if broker.process is None:
        broker.start()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("way", ["stands still", "is killed"])
def test_while_kafka_is_away_nothing_false_is_promised(
    broker: LocalKafka, order: ServiceProcess, way: str
) -> None:
    eventually(lambda: is_back(order), "ready", timeout=60)
    known = place(order)
    assert order.get(f"/orders/{known}").status_code == 200

    (broker.pause if way == "stands still" else broker.kill)()
    away_at = time.monotonic()
    assert order.get(f"/orders/{known}").json()["orderId"] == known
    refuse_in_time(order, "POST", "/orders", json=BODY)
    refuse_in_time(order, "POST", "/orders", json=BODY, headers={"Idempotency-Key": "away"})
    assert order.get("/healthz").status_code == 200

    eventually(lambda: order.get(f"/orders/{known}").status_code == 503, "reads are refused", timeout=15)
    assert time.monotonic() - away_at > SESSION * 0.5
    refuse_in_time(order, "GET", f"/orders/{known}")
    refuse_in_time(order, "POST", f"/orders/{known}/cancel")
    refuse_in_time(order, "GET", "/readyz")

    if way == "stands still":
        broker.resume()
    else:
        broker.start()
    again = recovers(order, lambda: place(order), "orders are taken again")
    recovers(order, lambda: status(order, again) == "CREATED", "and decided")
    recovers(order, lambda: status(order, known) == "CREATED", "and what was known is known")


@pytest.mark.timeout(200)
def test_what_was_answered_202_is_there(broker: LocalKafka, system: System, order: ServiceProcess) -> None:
    """Posts while the broker dies and comes back: each 202 is an order in the log, whatever else happened."""
    accepted = [recovers(order, lambda: place(order), "orders are taken")]
    with ThreadPoolExecutor(4) as customers:
        posts = [customers.submit(order.post, "/orders", json=BODY) for _ in range(200)]
        eventually(lambda: sum(post.done() for post in posts) > 50, "half way")
        broker.kill()
        answers = [post.result() for post in posts]
    assert {answer.status_code for answer in answers} == {202, 503}
    accepted += [answer.json()["orderId"] for answer in answers if answer.status_code == 202]
    broker.start()
    accepted.append(recovers(order, lambda: place(order), "orders are taken again"))

    def created() -> bool:
        found = [m.key for m in system.topics.messages("order.events") if m.name == "OrderCreated"]
        assert len(found) == len(set(found))
        return set(found) >= set(accepted)

    recovers(order, created, "every order accepted is decided")


def test_a_service_that_starts_before_kafka_waits_for_it(tmp_path: Path) -> None:
    late = LocalKafka(tmp_path, short_lived=True)
    with late:
        system = System(late.bootstrap_servers, tmp_path / "system")
    try:
        order = system.service("order").start()
        eventually(lambda: "waiting for Kafka" in order.tail(), "it says what it waits for")
        assert order.get("/healthz").status_code == 200
        refuse_in_time(order, "POST", "/orders", json=BODY)
        with late:
            order.wait_ready()
            place(order)
            order.stop()
    finally:
        system.close()
