"""Posts orders by the clock."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from math import floor
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tools.arrivals import Arrivals
from tools.load.measure import Measured, Sent
from tools.stack.settings import credentials
from tools.system import System

ACCEPTED = 202
PRODUCT = "load-{:03d}"
UNAVAILABLE = "tok_unavailable"


class NotStocked(Exception):
    """The products of the load could not be put in stock; the message says what was answered."""


@dataclass(frozen=True)
class Plan:
    """``rate`` orders a second for ``seconds``, each of ``items`` different products out of ``products``.

    ``bad_share`` of them, spread evenly, are paid by ``tok_unavailable``: they do not settle before their deadline.
    """

    rate: float
    seconds: float
    items: int = 1
    products: int = 100
    payment_method: str = "tok_ok"
    keyed: bool = False
    bad_share: float = 0.0

    @property
    def orders(self) -> int:
        return round(self.rate * self.seconds)

    def bad(self, number: int) -> bool:
        """Whether the ``number``-th order is one of those that cannot be paid."""
        return floor((number + 1) * self.bad_share) > floor(number * self.bad_share)

    def body(self, number: int) -> bytes:
        """The ``number``-th order; one piece of each product, which take turns."""
        first = number * self.items
        names = [PRODUCT.format((first + k) % self.products) for k in range(self.items)]
        items = [{"productId": name, "quantity": 1, "unitPrice": "1.00"} for name in names]
        method = UNAVAILABLE if self.bad(number) else self.payment_method
        order = {"userId": f"load-{number % 1000}", "items": items, "paymentMethod": method}
        return json.dumps(order).encode()


async def stock(session: aiohttp.ClientSession, where: System, plan: Plan) -> None:
    """Put enough of every product in stock that no order fails for want of goods. Raises NotStocked."""
    quantity = plan.orders * plan.items // plan.products + plan.items
    for k in range(plan.products):
        url = URL(f"{where.inventory}/stock/{quote(PRODUCT.format(k), safe='')}/adjustments", encoded=True)
        async with session.post(url, json={"quantity": quantity, "reason": "load"}) as response:
            if response.status != ACCEPTED:
                raise NotStocked(f"POST {url}: {response.status} {(await response.text())[:300]}")


async def generate(where: System, plan: Plan, patience: float) -> Measured:
    """Run the plan, then wait until all that was accepted (and can be paid) has settled, ``patience`` s at most."""
    timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=credentials()) as session:
        await stock(session, where, plan)
        with Arrivals(where.kafka) as arrivals:
            measured = Measured(plan.rate, settled=arrivals.settled)
            run = f"load-{time.time_ns()}"

            async def send(number: int, due: float) -> None:
                key = f"{run}-{number}" if plan.keyed else None
                body, bad = plan.body(number), plan.bad(number)
                measured.sent.append(await post(session, where.order, body, due, key, bad))

            await by_the_clock(plan.rate, plan.orders, send)
            await _settle(measured, patience)
    return measured


async def by_the_clock(
    rate: float, count: int, act: Callable[[int, float], Coroutine[Any, Any, None]]
) -> None:
    """Begin ``act(number, due)`` ``count`` times, ``rate`` times a second; return once all have ended.

    ``due`` is when the clock says that it begins (``time.monotonic``, s), however late it is. What one of them raises
    cancels the others.
    """
    began = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due = began + number / rate
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            group.create_task(act(number, due))


async def post(
    session: aiohttp.ClientSession,
    base: str,
    body: bytes,
    due: float,
    key: str | None = None,
    bad: bool = False,
) -> Sent:
    """POST one order, with ``key`` as its Idempotency-Key, and say what came of it."""
    headers = {"content-type": "application/json", **({"Idempotency-Key": key} if key else {})}
    sent, order = time.monotonic(), ""
    try:
        async with session.post(f"{base}/orders", data=body, headers=headers) as response:
            text = await response.read()
            outcome = str(response.status)
            if response.status == ACCEPTED:
                order = str(json.loads(text)["orderId"])
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome = type(error).__name__
    return Sent(due, sent, time.monotonic(), outcome, order, bad)


async def _settle(measured: Measured, patience: float) -> None:
    deadline = time.monotonic() + patience
    left = {one.order for one in measured.sent if one.order and not one.bad}
    while time.monotonic() < deadline:
        left -= measured.settled.keys()
        if not left:
            return
        await asyncio.sleep(0.05)
