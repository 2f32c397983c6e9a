"""POST /orders of the order service alone, beside a bare app that makes a POST durable."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.bare_app import BareApp
from bench.load import run
from bench.ours import Ours
from bench.processes import NotMeasured
from bench.result import Better, Round, Row
from bench.run import Run
from bench.shop import accepted, session
from tools.arrivals import percentile

CONNECTIONS = 64
BURST = 768
"""Orders posted before a pause in which the service decides them: beyond 1,000 undecided ones it refuses some."""
ALONE = {"payment": 0, "inventory": 0, "notification": 0}
ROOM = {"ORDER_MAX_OPEN": "10000000", "ORDER_MAX_LINES": "10000000"}
"""No other service runs, so no order settles, and a fast machine accepts more than would be let wait."""


@dataclass
class Bursts:
    """What bursts of POSTs gave: seconds in them, and how long each POST took (s)."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """POSTs answered in a second."""
        return len(self.latencies) / self.seconds

    def ms(self, share: float) -> float:
        """The latency, in ms, that this share of all did not exceed."""
        return percentile(sorted(self.latencies), share) * 1000


def post(bench: Run) -> list[Row]:
    """Throughput and p99 of POSTs over 64 connections, while no other service runs."""
    with Ours(bench.run_dir / "alone", bench.python, env=ROOM) as order, BareApp(bench) as app:
        order.scale(**ALONE)
        found = bench.pairs(
            "POST",
            lambda seconds: run(bursts(order.system.order, seconds, decided=True), seconds * 10),
            lambda seconds: run(bursts(app.url, seconds, decided=False), seconds * 10),
            progress,
        )
    what = f"POST /orders, {CONNECTIONS} connections, order service alone"
    share = round(found[-1][1].rate / bench.raw_produce, 3)
    details = {"reference's share of raw produce": share}
    return rows("post", what, "the bare app", found, (0.7, 1.5), details)


def progress(ours: Bursts, other: Bursts) -> str:
    """What a round gave, for people."""
    return f"{ours.rate:.0f} / {other.rate:.0f} a second, p99 {ours.ms(0.99):.0f} / {other.ms(0.99):.0f} ms"


def rows(
    name: str,
    what: str,
    reference: str,
    found: Sequence[tuple[Bursts, Bursts]],
    goals: tuple[float | None, float | None],
    details: dict[str, Any] | None = None,
) -> list[Row]:
    """The rows of rate and p99. ``goals``: theirs; ``details``: of the rate."""
    rates = [Round(ours.rate, other.rate) for ours, other in found]
    tails = [Round(ours.ms(0.99), other.ms(0.99)) for ours, other in found]
    rate, tail = goals
    said = f"{what}, answers a second"
    return [
        Row(f"{name}-rate", said, "/s", Better.HIGHER, reference, rate, rates, details or {}),
        Row(f"{name}-p99", f"{what}, p99", "ms", Better.LOWER, reference, tail, tails),
    ]


async def bursts(
    url: str, seconds: float, decided: bool, headers: Mapping[str, str] | None = None, keyed: bool = False
) -> Bursts:
    """Bursts of POSTs until they have taken ``seconds`` s. If ``decided``, each waits for the last one.

    If ``keyed``, each POST has an Idempotency-Key of its own.
    """
    found = Bursts()
    async with session(CONNECTIONS, headers) as client:
        while found.seconds < seconds:
            began = time.monotonic()
            ids = await _burst(client, url, found.latencies, keyed)
            found.seconds += time.monotonic() - began
            if decided:
                await asyncio.gather(*(_decided(client, f"{url}/orders/{order}") for order in ids))
    return found


async def _burst(client: aiohttp.ClientSession, url: str, latencies: list[float], keyed: bool) -> list[str]:
    """Post :data:`BURST` orders over all connections, and give the id of the last one of each."""
    numbers = iter(range(BURST))

    async def shopper() -> str:
        order = ""
        for number in numbers:
            sent = time.monotonic()
            key = str(uuid.uuid4()) if keyed else None
            order, answered = await accepted(client, url, number, key)
            latencies.append(answered - sent)
        return order

    return [order for order in await asyncio.gather(*(shopper() for _ in range(CONNECTIONS))) if order]


async def _decided(client: aiohttp.ClientSession, url: str) -> None:
    """Return once the order is there: it is answered 404 or 503 at the latest 2 s after it was asked for."""
    deadline = time.monotonic() + 30.0
    while True:
        async with client.get(url) as answer:
            await answer.read()
            if answer.status == 200:
                return
        if time.monotonic() > deadline:
            raise NotMeasured(f"GET {url} gave {answer.status} for 30 s: the order was not decided.")
