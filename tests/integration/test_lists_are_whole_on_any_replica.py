"""Two replicas of order: pages, cursors and the past are the same on both, while orders come, change and end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import cycle
from typing import Any

import httpx
import pytest

from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

ANY = "cup"
Json = dict[str, Any]


class Replicas:
    """Two replicas of order that share the tasks, and what else settles orders."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.simulator()
        self.first, inventory, self.payment, _ = system.start("order", "inventory", "payment", "notification")
        (self.second,) = system.start("order", slot=1)
        system.stock(inventory, 1_000_000, ANY)
        # Each leads some tasks and follows the others.
        eventually(
            lambda: [bool(tasks) for tasks in system.topics.assignments("order")] == [True, True],
            "both replicas lead",
        )


@pytest.fixture(scope="module")
def replicas(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    system = System(kafka, tmp_path_factory.mktemp("lists"))
    yield Replicas(system)
    system.close()


def post(replica: ServiceProcess, user: str, **more: Any) -> str:
    answer = replica.post("/orders", json={"userId": user, "productId": ANY, "quantity": 1, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["orderId"])


def page(replica: ServiceProcess, path: str = "/orders", **query: Any) -> Json:
    """An answer of 200. One that the machine is too busy for is asked for again, as a client does."""
    params = {name: value for name, value in query.items() if value is not None}
    answers: list[httpx.Response] = []

    def asked() -> bool:
        answers.append(replica.http.get(path, params=params))
        assert answers[-1].status_code in (200, 503), answers[-1].text
        return answers[-1].status_code == 200

    eventually(asked, f"{path} is answered")
    found: Json = answers[-1].json()
    return found


def walk(replicas: list[ServiceProcess], **query: Any) -> list[Json]:
    """All orders on the pages from the first to the last, each page from the next replica."""
    found: list[Json] = []
    cursor = None
    for replica in cycle(replicas):
        got = page(replica, cursor=cursor, **query)
        found += got["orders"]
        if (cursor := got["next"]) is None:
            return found
    raise AssertionError("there is no replica")


def ids(orders: list[Json]) -> list[str]:
    return [order["orderId"] for order in orders]


def test_an_order_is_listed_on_every_replica_as_soon_as_it_is_accepted(replicas: Replicas) -> None:
    first, second = replicas.first, replicas.second
    for number in range(20):
        writer, reader = (first, second) if number % 2 else (second, first)
        order_id = post(writer, "reader")
        assert ids(page(reader, userId="reader", limit=1)["orders"]) == [order_id]


def test_pages_of_both_replicas_neither_skip_nor_repeat_under_load(replicas: Replicas) -> None:
    both = [replicas.first, replicas.second]
    before = [post(both[n % 2], f"u{n % 3}") for n in range(60)]
    ended = False

    def load(replica: ServiceProcess) -> int:
        count = 0
        while not ended:
            post(replica, f"u{count % 3}", paymentMethod="tok_declined" if count % 4 == 0 else "tok_ok")
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load, replica) for replica in both]
        try:
            queries: list[Json] = [{"limit": 10}, {"limit": 7, "userId": "u1"}]
            for query in queries:
                found = walk(both, **query)
                listed = ids(found)
                assert len(listed) == len(set(listed)), "an order is on two pages"
                wanted = [
                    order for n, order in enumerate(before) if query.get("userId", f"u{n % 3}") == f"u{n % 3}"
                ]
                assert not set(wanted) - set(listed), "an order is on no page"
                places = [(order["createdAt"], order["orderId"]) for order in found]
                assert places == sorted(places, reverse=True)
        finally:
            ended = True
        assert all(load.result() for load in loads)
    for order_id in before:
        assert page(both[0], f"/orders/{order_id}", wait=30)["status"] == "CONFIRMED"
    confirmed = ids(walk(both, status="CONFIRMED", payment="PAID", limit=50))
    assert set(before) <= set(confirmed)
    assert all(order["failure"]["stage"] == "PAYMENT" for order in walk(both, status="FAILED", limit=50))


def test_a_stream_of_any_replica_goes_on_from_a_page_of_another(replicas: Replicas) -> None:
    first, second = replicas.first, replicas.second
    listed = [post(first, "follower") for _ in range(3)]
    shown = page(first, userId="follower")
    assert sorted(ids(shown["orders"])) == sorted(listed)
    later = post(second, "follower")
    for order_id in (*listed, later):
        page(second, f"/orders/{order_id}", wait=30)
    missed = second.http.get(
        "/orders/stream", params={"userId": "follower", "lastEventId": shown["position"], "seconds": "0"}
    )
    known = {order["orderId"]: order["version"] for order in shown["orders"]}
    for line in missed.text.splitlines():
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            order_id, version = event["data"]["orderId"], event["version"]
            assert version <= known.get(order_id, 0) + 1, "an event is neither on the page nor in the stream"
            known[order_id] = max(version, known.get(order_id, 0))
    assert known == {
        order["orderId"]: order["version"] for order in page(second, userId="follower")["orders"]
    }


def poll(replica: ServiceProcess, order_id: str, polled: dict[int, Json], *ends: str) -> None:
    """Keep each version that is seen until the order has ended."""

    def ended() -> bool:
        live = page(replica, f"/orders/{order_id}")
        live.pop("held", None)
        polled[live["version"]] = live
        return live["status"] in ends

    eventually(ended, f"order {order_id} is {' or '.join(ends)}", every=0.002)


def test_what_was_polled_live_is_told_again_by_the_other_replica(replicas: Replicas) -> None:
    first, second = replicas.first, replicas.second
    seen: dict[str, dict[int, Json]] = {}
    for number in range(6):
        order_id = post(first, "poller", paymentMethod=("tok_ok", "tok_declined", "tok_flaky")[number % 3])
        polled = seen[order_id] = {}
        poll(first, order_id, polled, "CONFIRMED", "FAILED")
        if first.post(f"/orders/{order_id}/complete").status_code == 202:
            poll(first, order_id, polled, "COMPLETED")
            assert len(polled) > 1
    for order_id, polled in seen.items():
        times = [event["time"] for event in page(second, f"/orders/{order_id}/events")["events"]]
        for version, live in polled.items():
            assert page(second, f"/orders/{order_id}", asOf=version) == live
            at = live["updatedAt"]
            later = [v for v, when in enumerate(times, 1) if moment(when) <= moment(at)]
            past = page(second, f"/orders/{order_id}", asOf=at)
            assert past["version"] == max(later)
            if max(later) == version:
                assert past == live


def test_a_cursor_outlives_a_rebuild_of_its_replica_and_a_replica_that_is_behind_gives_no_page(
    replicas: Replicas,
) -> None:
    placed = [post(replicas.first, "walker") for _ in range(10)]
    begun = page(replicas.second, userId="walker", limit=4)
    rest = ids(page(replicas.first, userId="walker", limit=50, cursor=begun["next"])["orders"])
    assert sorted(ids(begun["orders"]) + rest) == sorted(placed)
    replicas.second.kill()
    shutil.rmtree(replicas.system.database("order", 1).parent)
    replicas.second.start()
    # From its first answer on it shows the rest of the list, or 503.
    answers: list[httpx.Response] = []

    def asked() -> bool:
        with suppress(httpx.TransportError):
            query = {"userId": "walker", "limit": "50", "cursor": begun["next"]}
            answers.append(replicas.second.http.get("/orders", params=query))
        return bool(answers) and answers[-1].status_code == 200

    eventually(asked, "the replica lists again", timeout=60)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert ids(answers[-1].json()["orders"]) == rest
    replicas.second.wait_ready()


def test_payments_are_listed_as_they_are_shown_one_by_one(replicas: Replicas) -> None:
    placed = [post(replicas.first, "payer") for _ in range(5)]
    declined = post(replicas.first, "payer", paymentMethod="tok_declined")
    for order_id in (*placed, declined):
        page(replicas.first, f"/orders/{order_id}", wait=30)
    first = page(replicas.payment, "/payments", userId="payer", status="PAID", limit=3)
    second = page(replicas.payment, "/payments", userId="payer", status="PAID", limit=3, cursor=first["next"])
    paid = first["payments"] + second["payments"]
    assert {payment["orderId"] for payment in paid} == set(placed)
    assert second["next"] is None
    for payment in paid:
        assert payment == page(replicas.payment, f"/payments/{payment['orderId']}")
    (one,) = page(replicas.payment, "/payments", orderId=declined)["payments"]
    assert (one["status"], one["userId"]) == ("FAILED", "payer")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
