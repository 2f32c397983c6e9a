"""Orders at a rate, some cancelled, some completed, and deliveries of goods, on a thread of their own."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from tools.arrivals import Arrivals, Settled
from tools.stack.ready import request
from tools.stack.settings import StackError
from verification.chaos.cluster import ChaosCluster

PLENTY = [f"chaos-{k:02d}" for k in range(16)]
SCARCE = ["scarce-0", "scarce-1"]
METHODS = {"tok_ok": 80, "tok_declined": 6, "card": 7, "tok_flaky": 5, "tok_timeout": 2}
"""Weights of payment methods; ``card`` is accepted nine times in ten."""
CANCELLED, COMPLETED = 0.08, 0.20
"""Shares of the orders that somebody cancels within seconds, and of those completed once confirmed."""
RESTOCK_EVERY = 1.5
PATIENCE = 20.0
"""Seconds for which a request with a key is repeated."""


class Placed(NamedTuple):
    """An order that was accepted: when its first request was sent and answered (``time.monotonic``, s)."""

    order: str
    sent: float
    answered: float
    items: int
    keyed: bool


@dataclass
class LoadResult:
    """What the customers sent and were answered. ``answers`` counts posts by their last status or error."""

    placed: list[Placed] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    follow_ups: Counter[str] = field(default_factory=Counter)
    restocked: int = 0
    settled: dict[str, Settled] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0


class PlannedOrder(NamedTuple):
    """An order to send: its JSON, its Idempotency-Key if it has one, and what its customer asks for ``after`` s."""

    body: dict[str, Any]
    key: str | None
    follow_up: str
    after: float


def orders(seed: str, run: str) -> Any:
    """Orders without end; the same seed gives the same ones. ``run`` makes their keys this run's own."""
    dice = random.Random(f"orders {seed}")
    for number in itertools.count():
        products = PLENTY + (SCARCE if dice.random() < 0.1 else [])
        many = dice.random() < 0.4
        names = dice.sample(products, dice.randint(2, 6)) if many else [dice.choice(products)]
        items = [{"productId": n, "quantity": dice.randint(1, 3), "unitPrice": "1.25"} for n in names]
        method = dice.choices(list(METHODS), list(METHODS.values()))[0]
        body = {"userId": f"user-{number % 500}", "items": items, "paymentMethod": method}
        keyed, share, after = dice.random() < 0.5, dice.random(), dice.uniform(0.0, 3.0)
        follow_up = "cancel" if share < CANCELLED else "complete" if share < CANCELLED + COMPLETED else ""
        yield PlannedOrder(body, f"{run}-{number}" if keyed else None, follow_up, after)


class OrderLoad:
    """Orders at a rate. Use as a context manager: the load runs inside; leaving it stops the load and waits for
    its requests."""

    def __init__(self, chaos: ChaosCluster, rate: float, seed: str = "0") -> None:
        self.chaos, self.rate, self.seed = chaos, rate, seed
        self.result = LoadResult()
        self._arrivals = Arrivals(chaos.kafka)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)
        self._turn = itertools.count()

    def stock(self) -> None:
        """Put plenty of most products in stock. Raises StackError."""
        for product in PLENTY:
            self._put(product, 1_000_000)
        for product in SCARCE:
            self._put(product, 5)

    def _put(self, product: str, quantity: int) -> None:
        url = f"{self.chaos.urls('inventory')[0]}/stock/{product}/adjustments"
        status, text = request(url, {"quantity": quantity, "reason": "chaos"}, timeout=10.0)
        if status != 202:
            raise StackError(f"POST {url}: {status} {text[:200]}")

    def begin(self) -> None:
        """Start the load."""
        self.result.settled = self._arrivals.settled
        self._arrivals.__enter__()
        self.result.began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the load; returns when every request was answered or given up."""
        self._stopping.set()
        self._thread.join()
        self.result.ended = time.monotonic()
        if self._failure:
            raise self._failure

    def wait_settled(self, timeout: float) -> list[str]:
        """Wait until every accepted order has settled, ``timeout`` (s) at most; returns those that have not."""
        deadline = time.monotonic() + timeout
        left = {placed.order for placed in self.result.placed}
        while (left := left - self.result.settled.keys()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return sorted(left)

    def close(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._arrivals.__exit__()

    def __enter__(self) -> OrderLoad:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._send_orders())
        except BaseException as error:
            self._failure = error

    async def _send_orders(self) -> None:
        timeout, connector = aiohttp.ClientTimeout(total=6.0), aiohttp.TCPConnector(limit=0)
        run = f"chaos-{time.time_ns()}"
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            self._session = session
            tasks: set[asyncio.Task[None]] = {asyncio.create_task(self._restock(run))}
            for number, order in enumerate(orders(self.seed, run)):
                due = self.result.began + number / self.rate
                while (ahead := due - time.monotonic()) > 0 and not self._stopping.is_set():
                    await asyncio.sleep(min(ahead, 0.2))
                if self._stopping.is_set():
                    break
                task = asyncio.create_task(self._customer(order))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            # follow-ups that are still to come are dropped: the load must be quiet once it has ended
            await asyncio.wait(tasks)

    async def _customer(self, order: PlannedOrder) -> None:
        sent = time.monotonic()
        status, answer = await self._ask("order", "/orders", order.body, order.key)
        self.result.answers[status] += 1
        if status != "202":
            return
        name = str(answer["orderId"])
        items = len(order.body["items"])
        self.result.placed.append(Placed(name, sent, time.monotonic(), items, order.key is not None))
        if order.follow_up == "cancel":
            await self._pause(order.after)
        elif order.follow_up == "complete" and not await self._confirmed(name):
            return
        if order.follow_up:
            # a follow-up has no key: cancelling or completing twice does no harm
            status, _ = await self._ask(
                "order", f"/orders/{name}/{order.follow_up}", {}, None, patience=PATIENCE
            )
            self.result.follow_ups[f"{order.follow_up} {status}"] += 1

    async def _confirmed(self, order: str) -> bool:
        while (settled := self.result.settled.get(order)) is None and not self._stopping.is_set():
            await asyncio.sleep(0.25)
        return settled is not None and settled.status == "CONFIRMED"

    async def _restock(self, run: str) -> None:
        dice = random.Random(f"stock {self.seed}")
        for number in itertools.count():
            await self._pause(RESTOCK_EVERY)
            if self._stopping.is_set():
                return
            body = {"quantity": dice.randint(1, 6), "reason": "delivery"}
            path = f"/stock/{dice.choice(SCARCE)}/adjustments"
            status, _ = await self._ask("inventory", path, body, f"{run}-delivery-{number}")
            self.result.restocked += status == "202"

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            await asyncio.sleep(min(left, 0.2))

    async def _ask(
        self, service: str, path: str, body: dict[str, Any], key: str | None, patience: float | None = None
    ) -> tuple[str, dict[str, Any]]:
        """POST to the replicas in turn. A request with a key is repeated; one without only if no replica received
        it."""
        headers = {"Idempotency-Key": key} if key else {}
        patience = patience if patience is not None else PATIENCE if key else 0.0
        until, urls, refused = time.monotonic() + patience, self.chaos.urls(service), 0
        while True:
            url = urls[next(self._turn) % len(urls)]
            try:
                async with self._session.post(f"{url}{path}", json=body, headers=headers) as response:
                    status, answer = str(response.status), _object(await response.text())
            except aiohttp.ClientConnectorError:
                status, answer, refused = "not reached", {}, refused + 1
            except (aiohttp.ClientError, TimeoutError) as error:
                status, answer = type(error).__name__, {}
            final = status[0] in "234" and status != "429"
            again = (status == "not reached" and refused < len(urls)) or time.monotonic() < until
            if final or not again:
                return status, answer
            await asyncio.sleep(0.0 if status == "not reached" and refused < len(urls) else 0.5)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def replies(answers: Counter[str]) -> Sequence[tuple[str, int]]:
    """Answers other than 202, most frequent first."""
    return [(status, count) for status, count in answers.most_common() if status != "202"]
