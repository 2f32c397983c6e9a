"""SIGTERM: what is under way is finished or left undone, nothing half; and the group is left at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.orders import create, created, order_ids
from tests.support.system import System
from tests.support.topic_client import TopicClient, by_key
from tests.support.waiting import eventually

SESSION = 3.0
"""Seconds the broker waits for a member that says nothing: who leaves in order is not waited for."""


@contextmanager
def traffic(settings_of: TopicClient) -> Iterator[list[str]]:
    """Commands without pause, from another thread; gives the ids sent so far."""
    topics, sent, ended = TopicClient(settings_of.settings), [], threading.Event()

    def run() -> None:
        while not ended.wait(0.01):
            ids = order_ids(5)
            topics.send(*(create(i) for i in ids))
            sent.extend(ids)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()
        topics.close()


def test_the_other_replica_leads_all_tasks_without_waiting_for_a_session(system: System) -> None:
    first, second = system.start("order")[0], system.start("order", slot=1)[0]
    eventually(
        lambda: (first.leads() in (1, 2), first.leads() + second.leads() == 3) == (True, True), "shared"
    )
    with traffic(system.topics) as sent:
        eventually(lambda: len(sent) > 50, "traffic flows")

        began = time.monotonic()
        ended_after = second.stop()
        eventually(lambda: first.leads() == 3, "the other leads all", timeout=10, every=0.02)
        took = time.monotonic() - began

    assert took < SESSION, f"{took:.1f} s until led again, {ended_after:.1f} s until ended"
    system.wait_consumed("order")
    assert by_key(system.topics.messages("order.events")) == {i: ["OrderCreated"] for i in sent}


def test_a_stop_under_load_leaves_no_half_batch(system: System) -> None:
    (order,) = system.start("order")
    with traffic(system.topics) as sent:
        for _ in range(3):
            before = len(sent)
            eventually(lambda n=before: len(sent) > n + 50, "traffic flows")  # type: ignore[misc]
            order.stop()
            # Nothing is left open: committed readers see up to the end of the log, and each event's input is
            # committed as decided, and nothing else is.
            decided = system.topics.read("order.events")
            upto = sum(max(offset, 0) for offset in system.topics.committed("order").values())
            assert len(decided) == upto
            assert system.topics.is_stable("order.events")
            order.start().wait_ready()
    system.wait_consumed("order")
    assert by_key(system.topics.messages("order.events")) == {i: ["OrderCreated"] for i in sent}


def test_calls_under_way_are_awaited_and_not_repeated(system: System) -> None:
    simulator = system.simulator(SIMULATOR_LATENCY="800")
    (payment,) = system.start("payment")
    ids = order_ids(20)
    system.topics.send(*(created(i) for i in ids))
    eventually(lambda: simulator.calls()["charges"] == len(ids), "all calls are under way")

    assert payment.stop() < 5.0

    assert by_key(system.topics.messages("payment.events")) == {i: ["PaymentSucceeded"] for i in ids}
    payment.start().wait_ready()
    system.wait_consumed("payment")
    assert simulator.calls()["charges"] == len(ids)
    assert len(system.topics.messages("payment.events")) == len(ids)


def test_an_idle_service_stops_at_once(system: System) -> None:
    (order,) = system.start("order")

    assert order.stop() < 2.0
    assert order.start().wait_ready().stop() < 2.0
