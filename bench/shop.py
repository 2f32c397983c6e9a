"""Operations of a load: an order posted, and one posted and awaited until it is CONFIRMED."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from bench.load import Operation
from bench.processes import NotMeasured
from bench.waiting import Ends
from tools.arrivals import Arrivals, Settled
from tools.load.generate import ACCEPTED, Plan, post, stock
from tools.system import System

PLAN = Plan(rate=1_000, seconds=10_000, products=100)
"""Orders of one item, of a hundred products that take turns, and more in stock than a run takes."""


@asynccontextmanager
async def session(
    connections: int = 0, headers: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client with so many connections at most; 0: as many as requests are under way."""
    timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as made:
        yield made


async def accepted(
    client: aiohttp.ClientSession, url: str, number: int, key: str | None = None
) -> tuple[str, float]:
    """Post an order; its id, and when it was answered (``time.monotonic``, s). Raises NotMeasured if refused.

    ``key``: its Idempotency-Key.
    """
    sent = await post(client, url, PLAN.body(number), time.monotonic(), key)
    if sent.outcome != str(ACCEPTED):
        raise NotMeasured(
            f"POST {url}/orders gave {sent.outcome}: nothing may be refused while it is measured."
        )
    return sent.order, sent.answered


async def fill(where: System) -> None:
    """Put in stock what the orders of a run take. Raises NotStocked."""
    async with session() as client:
        await stock(client, where, PLAN)


@asynccontextmanager
async def posts(url: str) -> AsyncIterator[Operation]:
    """An operation that posts an order to ``url`` and ends with the answer."""
    async with session() as client:

        async def do(number: int) -> float:
            return (await accepted(client, url, number))[1]

        yield do


@asynccontextmanager
async def confirmed_orders(where: System) -> AsyncIterator[Operation]:
    """An operation that posts an order and ends when ``order.events`` says that it is CONFIRMED."""
    ends = Ends()

    def heard(order: str, settled: Settled) -> None:
        good = settled.status == "CONFIRMED"
        ends.hear(order, settled.at if good else NotMeasured(f"order {order} ended {settled}"))

    async with session() as client:
        with Arrivals(where.kafka, heard):

            async def do(number: int) -> float:
                order, _ = await accepted(client, where.order, number)
                return await ends.until(order)

            yield do
