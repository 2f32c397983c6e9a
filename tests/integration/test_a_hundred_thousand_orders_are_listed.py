"""A long list, rebuilt from the log by two replicas: every order once, in order, whatever is chosen."""

from __future__ import annotations

import time
from collections import Counter
from itertools import cycle
from typing import Any

import pytest

from bench.generate_orders import generate
from bench.orders import Plan
from tests.support.processes import ServiceProcess
from tests.support.system import System

ORDERS = 100_000
Json = dict[str, Any]


def walk(replicas: list[ServiceProcess], path: str = "/orders", **query: str) -> list[Json]:
    """All that is on the pages from the first to the last, each page from the next replica."""
    name, found = path.strip("/"), list[Json]()
    cursor: dict[str, str] = {}
    for replica in cycle(replicas):
        answer = replica.http.get(path, params={"limit": "100", **query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()[name]
        if answer.json()["next"] is None:
            return found
        cursor = {"cursor": answer.json()["next"]}
    raise AssertionError("there is no replica")


@pytest.mark.large
@pytest.mark.timeout(900)
def test_every_choice_of_a_hundred_thousand_orders_is_listed_once_and_in_order(system: System) -> None:
    begin = time.time_ns() // 1_000_000 - 3_600_000
    generate(system.settings, Plan(ORDERS, seed=3, begin=begin, services=("order", "payment", "inventory")))
    replicas = [system.service("order", slot).start() for slot in (0, 1)]
    payment = system.service("payment").start()
    for process in (*replicas, payment):
        process.wait_ready(timeout=400)

    orders = walk(replicas)
    places = [(order["createdAt"], order["orderId"]) for order in orders]
    assert len(set(places)) == len(places) == ORDERS
    assert places == sorted(places, reverse=True)

    kinds = Counter((order["status"], order["payment"]) for order in orders)
    users = Counter(order["userId"] for order in orders)
    rare, often = min(kinds, key=kinds.__getitem__), max(users, key=users.__getitem__)
    middle = orders[ORDERS // 2]["createdAt"]
    choices: list[tuple[dict[str, str], Any]] = [
        ({"status": rare[0]}, lambda o: o["status"] == rare[0]),
        ({"payment": rare[1]}, lambda o: o["payment"] == rare[1]),
        ({"status": rare[0], "payment": rare[1]}, lambda o: (o["status"], o["payment"]) == rare),
        ({"userId": often}, lambda o: o["userId"] == often),
        (
            {"userId": often, "status": "CONFIRMED"},
            lambda o: (o["userId"], o["status"]) == (often, "CONFIRMED"),
        ),
        (
            {"status": "FAILED", "createdAfter": middle},
            lambda o: o["status"] == "FAILED" and o["createdAt"] > middle,
        ),
    ]
    for query, matches in choices:
        assert walk(replicas, **query) == [order for order in orders if matches(order)], query
    payments = walk([payment], "/payments", status="REFUNDED")
    refunded = {order["orderId"] for order in orders if order["payment"] == "REFUNDED"}
    assert refunded and {one["orderId"] for one in payments} == refunded
