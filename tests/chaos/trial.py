"""Load beside a fault, and what must hold after every one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.waiting import eventually
from tools.stack.ready import is_ready, request
from verification.audit.report import text
from verification.chaos import books
from verification.chaos.shopping import Shopping
from verification.chaos.site import PARTITIONS, SIMULATOR, Site

RATE = 8.0
PATIENCE = 75.0
"""Seconds in which every order must have come to its end: more than its deadline."""


@contextmanager
def load(site: Site, rate: float = RATE) -> Iterator[Shopping]:
    """Customers at work; ends with everything healed and :func:`all_is_well`."""
    shopping = Shopping(site, rate, seed="test")
    shopping.stock()
    with shopping:
        eventually(lambda: len(shopping.sales.settled) >= 5, "orders settle before anything is hurt", 60)
        yield shopping
        shopping.stop()
        site.heal()
        site.wait_ready()
        all_is_well(site, shopping)


def all_is_well(site: Site, shopping: Shopping) -> None:
    """Audit clean, one settling event an order, no double charge on the simulator's record, nothing stuck or lost."""
    left = shopping.wait_settled(PATIENCE)
    assert not left, (
        f"{len(left)} of {len(shopping.sales.placed)} accepted orders have not settled: {left[:5]}"
    )
    verdict = site.audit(wait=45.0)
    assert verdict.clean, text(verdict)
    assert not verdict.open, text(verdict)
    found = books.read(site.kafka)
    assert not found.lost({placed.order for placed in shopping.sales.placed})
    assert not found.doubled()
    assert not found.stuck()
    assert doubles(site) == []


def doubles(site: Site) -> list[dict[str, object]]:
    """Orders the gateway charged or refunded more than once."""
    found: list[dict[str, object]] = json.loads(request(f"{site.url(SIMULATOR)}/doubles")[1])
    return found


def more_settle(shopping: Shopping, count: int = 10, timeout: float = 40.0) -> None:
    """Return once that many more orders have settled."""
    before = len(shopping.sales.settled)
    eventually(lambda: len(shopping.sales.settled) >= before + count, f"{count} more orders settle", timeout)


def others_lead(site: Site, services: Sequence[str], timeout: float = 60.0) -> None:
    """Return once the first replica of each service leads all its tasks."""
    for service in services:
        eventually(
            lambda s=service: site.leads(f"{s}-0") == PARTITIONS,  # type: ignore[misc]
            f"the other {service} leads all tasks",
            timeout,
        )


def are_back(site: Site, services: Sequence[str], timeout: float = 60.0) -> None:
    """Return once the second replica of each service is ready."""
    for service in services:
        eventually(
            lambda s=service: is_ready(site.url(f"{s}-1")),  # type: ignore[misc]
            f"{service}-1 is back",
            timeout,
        )
