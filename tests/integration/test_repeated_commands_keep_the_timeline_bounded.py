"""Repeated commands: an order's timeline stays bounded, and whoever repeats is answered at once, on any replica."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from schemas import CancelOrder
from tests.integration.orders import create, order_ids
from tests.support.audits import audit_of
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

REPEATS = 20


@pytest.fixture(scope="module")
def system(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(kafka, tmp_path_factory.mktemp("repeats"), partitions=2)
    yield system
    system.close()


@pytest.fixture(scope="module")
def replicas(system: System) -> list[ServiceProcess]:
    few: dict[str, Any] = {"ORDER_MAX_UNDECIDED": str(REPEATS)}
    started = system.start("order", **few) + system.start("order", slot=1, **few)
    eventually(lambda: [r.leads() for r in started] == [1, 1], "each leads half of the tasks")
    return started


def test_m5_repeated_cancels_leave_a_bounded_timeline_and_are_answered_on_every_replica(
    system: System, replicas: list[ServiceProcess]
) -> None:
    ids = order_ids(2)
    system.topics.send(*(create(i) for i in ids))

    def cancel(number: int) -> httpx.Response:
        return replicas[number % 2].post(f"/orders/{ids[number // 2 % 2]}/cancel")

    with ThreadPoolExecutor(8) as customers:
        answers = list(customers.map(cancel, range(40 * 4)))
    assert {(a.status_code, a.json()["status"]) for a in answers} == {(202, "CANCELLED")}
    for order_id in ids:
        for replica in replicas:
            timeline = replica.get(f"/orders/{order_id}/events").json()
            assert (len(timeline["events"]), timeline["next"]) == (2 + REPEATS, None)
            refused = replica.post(f"/orders/{order_id}/complete")
            assert (refused.status_code, refused.json()["reason"]) == (409, "the order was cancelled")
    for replica in replicas:
        one = {"userId": "u", "productId": "cup", "quantity": 1}
        assert replica.post("/orders", json=one).status_code == 202, "what led to no event waits for nothing"


def test_m5_refused_cancels_of_what_is_no_order_are_404_all_the_same(
    system: System, replicas: list[ServiceProcess]
) -> None:
    (order_id,) = order_ids(1)
    system.topics.send(*(CancelOrder(order_id=order_id) for _ in range(100)))
    for replica in replicas:
        assert replica.post(f"/orders/{order_id}/cancel").status_code == 404
        assert replica.get(f"/orders/{order_id}/events").status_code == 404
    kept = [m for m in system.topics.messages("order.events") if m.key == order_id]
    assert len(kept) == REPEATS
    system.topics.send(create(order_id))
    eventually(
        lambda: replicas[0].get(f"/orders/{order_id}").status_code == 200, "it is created all the same"
    )


def test_m5_the_audit_is_clean_of_commands_beyond_the_bound(
    system: System, replicas: list[ServiceProcess]
) -> None:
    system.wait_consumed("order")
    assert audit_of(system, None, wait=0).violations == []
