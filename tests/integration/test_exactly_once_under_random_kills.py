"""Nothing is lost and nothing happens twice while processes are killed at random under load."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from eventbus.model.messages import Message
from schemas import CancelOrder, InventoryReleased, OrderCancelled, OrderConfirmed, OrderFailed
from tests.integration.history import LOGS
from tests.integration.orders import PRICE, create, order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import SERVICES, Simulator, System
from tests.support.topic_client import TopicClient
from tests.support.waiting import eventually

SECONDS = 20.0
RATE = 15
"""Orders a second."""
SCARCE = 60
"""Pieces in stock of the product that runs out."""
SETTLED = {"OrderConfirmed", "OrderFailed", "OrderCancelled"}


@contextmanager
def killer(victims: list[ServiceProcess], seed: int) -> Iterator[list[str]]:
    """Kill one at random every second or so and start it again, as a supervisor would; gives whom it killed."""
    chance, ended, killed = random.Random(seed), threading.Event(), []

    def run() -> None:
        while not ended.wait(chance.uniform(0.3, 1.2)):
            victim = chance.choice(victims)
            victim.kill()
            victim.start()
            killed.append(victim.name)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def load(topics: TopicClient) -> list[str]:
    """Orders at a steady rate: of a product there is plenty of and one that runs out; every tenth is cancelled."""
    sent: list[str] = []
    began = time.monotonic()
    while (now := time.monotonic() - began) < SECONDS:
        due = int(now * RATE) - len(sent)
        for order_id in order_ids(max(due, 0)):
            topics.send(create(order_id, product="pot" if len(sent) % 3 == 0 else "cup"))
            sent.append(order_id)
            if len(sent) % 10 == 0:
                topics.send(CancelOrder(order_id=sent[-5]))
        threading.Event().wait(0.02)
    return sent


def restart_dead(processes: Iterable[ServiceProcess]) -> None:
    """A process that found it may not go on has ended; its supervisor starts it again."""
    for process in processes:
        if not process.alive:
            process.start()


@pytest.mark.timeout(180)
def test_under_random_kills_every_order_ends_and_money_and_stock_agree(system: System) -> None:
    simulator = system.simulator()
    replicas = [system.service(name) for name in SERVICES] + [system.service("payment", 1)]
    for process in replicas:
        process.start()
    for process in replicas:
        process.wait_ready()
    inventory = next(p for p in replicas if p.name == "inventory-0")
    system.stock(inventory, 100_000, "cup")
    system.stock(inventory, SCARCE, "pot")

    with killer(replicas, seed=20101201) as killed:
        sent = load(system.topics)

    def all_settled() -> bool:
        restart_dead(replicas)
        ended = {m.key for m in system.topics.messages("order.events") if m.name in SETTLED}
        assert ended >= set(sent), f"{len(set(sent) - ended)} of {len(sent)} orders are open"
        return True

    eventually(all_settled, "every order ends", timeout=60, every=0.3)
    eventually(lambda: consumed(system, replicas), "nothing is left to decide", every=0.3)
    assert len(killed) > 10
    check_logs(system.topics, sent)
    check_money(system.topics, simulator)
    check_stock(system.topics, inventory)


def consumed(system: System, replicas: list[ServiceProcess]) -> bool:
    restart_dead(replicas)
    before = system.topics.ends(*LOGS, "stock.commands", "inventory.answers")
    system.wait_consumed(*SERVICES)
    return system.topics.ends(*LOGS, "stock.commands", "inventory.answers") == before


def check_logs(topics: TopicClient, sent: list[str]) -> None:
    """One creation and one outcome an order; each event once, each key's versions without a gap."""
    names = Counter((m.key, m.name) for m in topics.messages("order.events"))
    assert {key: n for (key, name), n in names.items() if name == "OrderCreated"} == dict.fromkeys(sent, 1)
    ends = ("OrderConfirmed", "OrderFailed", "OrderCancelled", "OrderPaid", "OrderReserved", "OrderRefunded")
    assert {n for (_, name), n in names.items() if name in ends} == {1}
    for log in LOGS:
        envelopes = topics.envelopes(log)
        assert [i for i, n in Counter(e.id for e in envelopes).items() if n > 1] == []
        versions: dict[str, list[int | None]] = {}
        for envelope in envelopes:
            versions.setdefault(envelope.message.key, []).append(envelope.key_version)
        assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
    for service in SERVICES:
        assert topics.read(f"{service}.dlq") == []


def check_money(topics: TopicClient, simulator: Simulator) -> None:
    """Charged less refunded is the value of the orders confirmed, by the topics and by the gateway's record."""
    orders = topics.messages("order.events")
    gone = {m.key for m in orders if isinstance(m, OrderFailed | OrderCancelled)}
    value = sum(m.total_amount for m in orders if isinstance(m, OrderConfirmed) and m.key not in gone)
    assert simulator.doubles() == []
    signs = {"CHARGE": 1, "REFUND": -1}
    recorded = sum(signs[r["kind"]] * r["amount"] for r in simulator.record() if r["outcome"] == "SUCCEEDED")
    written = Counter(m.name for m in topics.messages("payment.events"))
    kept = written["PaymentSucceeded"] - written["PaymentRefunded"]
    assert recorded == value == kept * 2 * PRICE


def check_stock(topics: TopicClient, inventory: ServiceProcess) -> None:
    """What is not available is held for an order that was not given up; the scarce product is sold out."""
    orders: list[Message] = topics.messages("order.events")
    gone = {m.key for m in orders if isinstance(m, OrderFailed | OrderCancelled)}
    confirmed = {m.key for m in orders if isinstance(m, OrderConfirmed)} - gone
    for product, adjusted in (("cup", 100_000), ("pot", SCARCE)):
        stock = inventory.get(f"/stock/{product}").json()
        held = [m for m in orders if m.name == "OrderCreated" and m.key in confirmed]
        reserved = sum(i.quantity for m in held for i in m.items if i.product_id == product)  # type: ignore[attr-defined]
        assert stock["reservedQty"] == reserved
        assert stock["availableQty"] == adjusted - reserved >= 0
    released = [m.key for m in topics.messages("inventory.events") if isinstance(m, InventoryReleased)]
    assert len(released) == len(set(released))
