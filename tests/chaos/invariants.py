"""Load beside a fault, and what must hold after every one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.waiting import eventually
from tools.stack.ready import is_ready, request
from verification.audit.report import text
from verification.chaos import order_ends
from verification.chaos.cluster import PARTITIONS, SIMULATOR, ChaosCluster
from verification.chaos.order_load import OrderLoad

RATE = 8.0
PATIENCE = 75.0
"""Seconds in which every order must have come to its end: more than its deadline."""


@contextmanager
def under_load(chaos: ChaosCluster, rate: float = RATE) -> Iterator[OrderLoad]:
    """Customers at work; ends with everything healed and :func:`all_is_well`."""
    load = OrderLoad(chaos, rate, seed="test")
    load.stock()
    with load:
        eventually(lambda: len(load.result.settled) >= 5, "orders settle before anything is hurt", 60)
        yield load
        load.stop()
        chaos.heal()
        chaos.wait_ready()
        all_is_well(chaos, load)


def all_is_well(chaos: ChaosCluster, load: OrderLoad) -> None:
    """Audit clean, one settling event an order, no double charge on the simulator's record, nothing stuck or lost."""
    left = load.wait_settled(PATIENCE)
    assert not left, f"{len(left)} of {len(load.result.placed)} accepted orders have not settled: {left[:5]}"
    verdict = chaos.audit(wait=45.0)
    assert verdict.clean, text(verdict)
    assert not verdict.open, text(verdict)
    found = order_ends.read(chaos.kafka)
    assert not found.lost({placed.order for placed in load.result.placed})
    assert not found.doubled()
    assert not found.stuck()
    assert doubles(chaos) == []


def doubles(chaos: ChaosCluster) -> list[dict[str, object]]:
    """Orders the gateway charged or refunded more than once."""
    found: list[dict[str, object]] = json.loads(request(f"{chaos.url(SIMULATOR)}/doubles")[1])
    return found


def more_settle(load: OrderLoad, count: int = 10, timeout: float = 60.0) -> None:
    """Return once that many more orders have settled."""
    before = len(load.result.settled)
    eventually(lambda: len(load.result.settled) >= before + count, f"{count} more orders settle", timeout)


def others_lead(chaos: ChaosCluster, services: Sequence[str], timeout: float = 60.0) -> None:
    """Return once the first replica of each service leads all its tasks."""
    for service in services:
        eventually(
            lambda s=service: chaos.leads(f"{s}-0") == PARTITIONS,  # type: ignore[misc]
            f"the other {service} leads all tasks",
            timeout,
        )


def are_back(chaos: ChaosCluster, services: Sequence[str], timeout: float = 60.0) -> None:
    """Return once the second replica of each service is ready."""
    for service in services:
        eventually(
            lambda s=service: is_ready(chaos.url(f"{s}-1")),  # type: ignore[misc]
            f"{service}-1 is back",
            timeout,
        )
