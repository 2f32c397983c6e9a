"""Replicas share the tasks, each reads for all, and one that dies is replaced within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from schemas import OrderPaid
from tests.integration.orders import create, order_ids
from tests.integration.test_hostile_records_stop_no_service import forge, skip
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.topic_client import by_key
from tests.support.waiting import eventually

PARTITIONS = 6
INPUTS = {"order.commands", "payment.events", "inventory.events", "order.admin"}
BODY = {"userId": "anne", "productId": "cup", "quantity": 1}


@pytest.fixture(scope="module")
def system(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(kafka, tmp_path_factory.mktemp("replicas"), partitions=PARTITIONS)
    yield system
    system.close()


@pytest.fixture(scope="module")
def replicas(system: System) -> list[ServiceProcess]:
    """Three replicas of order, not started."""
    # A read may wait for as long as a busy machine needs to bring it what was written before.
    return [system.service("order", slot, EVENTBUS_READ_TIMEOUT="8") for slot in range(3)]


def run(replicas: list[ServiceProcess], count: int) -> list[ServiceProcess]:
    """Have the first ``count`` replicas run and no other, and the tasks shared evenly."""
    for replica in replicas[count:]:
        if replica.alive:
            replica.stop()
    running = replicas[:count]
    for replica in running:
        if not replica.alive:
            replica.start()
    for replica in running:
        replica.wait_ready()
    share = PARTITIONS // count
    eventually(lambda: [r.leads() for r in running] == [share] * count, f"each leads {share} tasks")
    return running


@pytest.mark.parametrize("count", [2, 3, 1])
def test_they_share_the_tasks_and_never_split_one(
    system: System, replicas: list[ServiceProcess], count: int
) -> None:
    run(replicas, count)

    held = system.topics.assignments("order")

    assert len(held) == count
    for member in held:
        assert set(member) == INPUTS
        assert len({frozenset(partitions) for partitions in member.values()}) == 1, f"a task is split: {held}"
    assert sorted(i for member in held for i in member["order.commands"]) == list(range(PARTITIONS))


def test_a_read_on_any_replica_knows_what_any_other_was_told(
    replicas: list[ServiceProcess],
) -> None:
    running = run(replicas, 3)

    for n in range(30):
        writer = running[n % 3]
        order_id = writer.post("/orders", json=BODY).json()["orderId"]
        reader = running[(n + 1 + n // 3 % 2) % 3]
        answer = reader.get(f"/orders/{order_id}")
        assert answer.status_code == 200, f"{reader.name} after {writer.name}: {answer.text}"
        assert answer.json()["status"] == "CREATED"


def test_reads_of_all_replicas_agree(system: System, replicas: list[ServiceProcess]) -> None:
    running = run(replicas, 3)
    ids = order_ids(30)
    system.topics.send(*(create(i) for i in ids))

    for path in [f"/orders/{i}{part}" for i in ids for part in ("", "/events")]:
        answers = [replica.get(path) for replica in running]
        assert [a.status_code for a in answers] == [200, 200, 200]
        assert answers[0].json() == answers[1].json() == answers[2].json()
    for replica in running:
        began = time.monotonic()
        assert replica.get("/orders/unheard-of").status_code == 404
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("way", ["dies", "stands still"])
def test_the_tasks_of_a_replica_that_fails_are_led_again_within_seconds(
    system: System, replicas: list[ServiceProcess], way: str
) -> None:
    first, second = run(replicas, 2)
    before = len(system.topics.messages("order.events"))
    ids = order_ids(60)
    system.topics.send(*(create(i) for i in ids[:30]))

    (second.kill if way == "dies" else second.pause)()
    failed_at = time.monotonic()
    system.topics.send(*(create(i) for i in ids[30:]))

    eventually(lambda: first.leads() == PARTITIONS, "the other leads all tasks", timeout=10)
    eventually(
        lambda: len(system.topics.messages("order.events")) >= before + 60, "all is decided", timeout=10
    )
    assert time.monotonic() - failed_at < 10

    # One that only stood still must not write a second answer when it goes on.
    second.resume()
    more = order_ids(30)
    system.topics.send(*(create(i) for i in more))
    eventually(
        lambda: len(system.topics.messages("order.events")) >= before + 90, "what came later is decided"
    )
    ours = [m for m in system.topics.messages("order.events") if m.key in {*ids, *more}]
    assert by_key(ours) == {i: ["OrderCreated"] for i in [*ids, *more]}
    assert first.get(f"/orders/{ids[0]}").json()["version"] == 1
    if way == "stands still":
        eventually(lambda: not second.alive or second.is_ready(), "it is back, or it has ended")
        if second.alive:
            assert second.get(f"/orders/{ids[-1]}").json() == first.get(f"/orders/{ids[-1]}").json()


def test_an_event_that_nobody_can_read_stops_one_task_and_keeps_no_replica_away(
    system: System, replicas: list[ServiceProcess]
) -> None:
    """It claims to be of newer code: who is assigned its task steps aside, and comes back as nobody can lead it."""
    running, topics = run(replicas, 2), system.topics
    (victim,) = order_ids(1)
    topics.send(create(victim))
    eventually(lambda: victim in decided(system), "it is decided")
    place = forge(topics, OrderPaid(order_id=victim, amount=1, currency="GBP"), 2, b"\0\0\x0f\x42\x40?")
    for replica in running:
        replica.stop()
    for replica in running:
        replica.start()

    eventually(lambda: says(running, "leaves the consumer group"), "one steps aside")
    ids = order_ids(30)
    topics.send(*(create(i) for i in ids))
    others = {i for i in ids if topics.partition(i) != place.partition}
    assert others != set(ids)
    eventually(lambda: others <= decided(system), "all other tasks are led")
    eventually(lambda: says(running, "enters the consumer group again"), "it is needed")
    eventually(lambda: all(led := [r.leads() for r in running]) and sum(led) == 5, "both lead")
    assert all(replica.alive and not replica.is_ready() for replica in running)

    skip(system, place)
    for replica in running:
        replica.wait_ready()
    eventually(lambda: set(ids) <= decided(system), "all is decided")


def decided(system: System) -> set[str]:
    """The orders of which order has written an event."""
    return {raw.key.decode() for raw in system.topics.read("order.events") if raw.key}


def says(running: list[ServiceProcess], what: str) -> bool:
    return any(what in replica.log.read_text(errors="replace") for replica in running)
