"""Operations of a load: an order posted, and one posted and awaited until it is CONFIRMED."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
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
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session


async def _accepted(session: aiohttp.ClientSession, url: str, number: int) -> tuple[str, float]:
    sent = await post(session, url, PLAN.body(number), time.monotonic())
    if sent.outcome != str(ACCEPTED):
        raise NotMeasured(
            f"POST {url}/orders gave {sent.outcome}: nothing may be refused while it is measured."
        )
    return sent.order, sent.answered


async def fill(where: System) -> None:
    """Put in stock what the orders of a run take. Raises NotStocked."""
    async with _session() as session:
        await stock(session, where, PLAN)


@asynccontextmanager
async def posts(url: str) -> AsyncIterator[Operation]:
    """An operation that posts an order to ``url`` and ends with the answer."""
    async with _session() as session:

        async def do(number: int) -> float:
            return (await _accepted(session, url, number))[1]

        yield do


@asynccontextmanager
async def confirmed_orders(where: System) -> AsyncIterator[Operation]:
    """An operation that posts an order and ends when ``order.events`` says that it is CONFIRMED."""
    ends = Ends()

    def heard(order: str, settled: Settled) -> None:
        good = settled.status == "CONFIRMED"
        ends.hear(order, settled.at if good else NotMeasured(f"order {order} ended {settled}"))

    async with _session() as session:
        with Arrivals(where.kafka, heard):

            async def do(number: int) -> float:
                order, _ = await _accepted(session, where.order, number)
                return await ends.until(order)

            yield do
