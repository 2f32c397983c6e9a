"""Many orders against few: what a system that has settled very many of them still does, and what it takes.

The logs of both are generated, so that nothing but the number of orders differs. Each service is started once to fold
its logs, and then again: that is the start that counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from bench.lives import SERVICES
from bench.load import Measured, closed_loop, run
from bench.orders import lives
from bench.parts.generated import PATIENCE, Generated, plan
from bench.processes import Module, NotMeasured
from bench.result import Better, Round, Row
from bench.run import PARTITIONS, Run
from bench.shop import confirmed_orders, fill, session
from tools.stack.ports import free_ports
from tools.system import System

FEW, MANY = 10_000, int(os.environ.get("ORDERS") or 50_000)
CLIENTS = 16
READ, PAGES = 1_000, 40
"""Orders, and pages of each list, that clients read by turns."""
MOST_MB, LONGEST_START = 200.0, 2.0


class Shop:
    """A system of so many orders, all its services running while the ``with`` lasts."""

    def __init__(self, bench: Run, orders: int) -> None:
        self._bench, self._plan = bench, plan(orders)
        self._generated = Generated(bench)
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self._running: dict[str, Module] = {}
        self._stack = ExitStack()
        settings = self._generated.settings
        gateway = f"http://127.0.0.1:{self._generated.gateway_port}"
        self.system = System(self._url("order"), self._url("inventory"), gateway, settings)

    def _url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def __enter__(self) -> Shop:
        with ExitStack() as stack:
            self._generated.fill(self._plan)
            simulator = stack.enter_context(self._generated.simulator())
            simulator.wait_ready(f"{self._generated.gateway_url}/healthz", PATIENCE)
            stack.callback(self._end)
            for service in SERVICES:
                self._start(service)
            for service in SERVICES:
                self._wait(service)
            run(fill(self.system), 10)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, service: str) -> None:
        process = self._generated.service(service, self._ports[service])
        self._running[service] = process.__enter__()

    def _wait(self, service: str) -> None:
        self._running[service].wait_ready(f"{self._url(service)}/readyz", PATIENCE)

    def _end(self) -> None:
        while self._running:
            self._running.popitem()[1].__exit__(None, None, None)

    def restart(self) -> dict[str, float]:
        """Seconds from start to ready of each service, the others running."""
        took = {}
        for service in SERVICES:
            self._running.pop(service).__exit__(None, None, None)
            began = time.monotonic()
            self._start(service)
            self._wait(service)
            took[service] = round(time.monotonic() - began, 2)
        return took

    def memory(self) -> dict[str, float]:
        """Resident memory of each service, in MB."""
        return {name: _resident(process.pid) for name, process in self._running.items()}

    def settle(self, seconds: float) -> Measured:
        """Clients that post an order and wait until it is CONFIRMED."""

        async def load() -> Measured:
            async with confirmed_orders(self.system) as do:
                return await closed_loop(CLIENTS, self._bench.warm, seconds, do, self._pids())

        return run(load(), self._bench.warm + seconds)

    def read(self, seconds: float) -> Measured:
        """Clients that GET orders, spread over all that there are."""
        return self._gets([f"/orders/{order}" for order in self._some()], seconds)

    def read_lists(self, seconds: float) -> Measured:
        """Clients that GET pages: of all orders, of those of a status, and of those of a user."""
        return self._gets(run(self._pages(), 60), seconds)

    async def _pages(self) -> list[str]:
        """Where the first pages of each list are, as a client comes to them."""
        found = []
        async with session() as client:
            orders = (await self._page(client, "/orders"))["orders"]
            for chosen in ("", "&status=CONFIRMED", f"&userId={quote(orders[0]['userId'])}"):
                cursor: str | None = ""
                for _ in range(PAGES):
                    found.append(f"/orders?limit=20{chosen}{cursor and f'&cursor={quote(cursor)}'}")
                    if (cursor := (await self._page(client, found[-1]))["next"]) is None:
                        break
        return found

    async def _page(self, client: aiohttp.ClientSession, path: str) -> Any:
        async with client.get(f"{self.system.order}{path}") as answer:
            if answer.status != 200:
                raise NotMeasured(f"GET {path} gave {answer.status}")
            return await answer.json()

    def _gets(self, paths: Sequence[str], seconds: float) -> Measured:
        async def load() -> Measured:
            async with session() as client:

                async def do(number: int) -> float:
                    url = f"{self.system.order}{paths[number % len(paths)]}"
                    async with client.get(url) as answer:
                        if answer.status != 200:
                            raise NotMeasured(f"GET {url} gave {answer.status}")
                        await answer.read()
                    return time.monotonic()

                return await closed_loop(CLIENTS, self._bench.warm, seconds, do, self._pids())

        return run(load(), self._bench.warm + seconds)

    def _some(self) -> list[str]:
        every = max(1, self._plan.orders // PARTITIONS // READ)
        known = (commands[0][0] for _, commands in lives(self._plan, 0, PARTITIONS))
        orders = (command.key for command in known if command.name == "CreateOrder")
        return list(islice(orders, 0, None, every))

    def _pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return round(int(kilobytes) / 1000, 1)


def scale(bench: Run) -> list[Row]:
    """Throughput, reads, memory and starts of a system of very many orders, beside one of few."""
    with ExitStack() as stack:
        few = stack.enter_context(Shop(bench, FEW))
        many = stack.enter_context(Shop(bench, MANY))
        rates = bench.pairs(
            f"{MANY:,} orders beside {FEW:,}",
            many.settle,
            few.settle,
            lambda mine, other: f"{mine.rate:.0f} / {other.rate:.0f} orders/s",
        )
        reads = bench.pairs(
            "GET of an order",
            many.read,
            few.read,
            lambda mine, other: f"p99 {mine.ms(0.99):.1f} / {other.ms(0.99):.1f} ms",
        )
        lists = bench.pairs(
            "GET of a page",
            many.read_lists,
            few.read_lists,
            lambda mine, other: f"p99 {mine.ms(0.99):.1f} / {other.ms(0.99):.1f} ms",
        )
        memory, less = many.memory(), few.memory()
        starts = [many.restart() for _ in range(bench.rounds)]
        quicker = few.restart()
    small = f"the same with {FEW:,} orders"
    return [
        Row(
            "scale-throughput",
            f"orders/s to CONFIRMED with {MANY:,} orders settled before, {CLIENTS} clients",
            "orders/s",
            Better.HIGHER,
            small,
            0.85,
            [Round(mine.rate, other.rate) for mine, other in rates],
        ),
        Row(
            "scale-get-p99",
            f"GET of one of {MANY:,} orders, {CLIENTS} clients, p99",
            "ms",
            Better.LOWER,
            small,
            1.15,
            [Round(mine.ms(0.99), other.ms(0.99)) for mine, other in reads],
        ),
        Row(
            "scale-list-p99",
            f"GET of a page of 20 of {MANY:,} orders, {CLIENTS} clients, p99",
            "ms",
            Better.LOWER,
            small,
            1.5,
            [Round(mine.ms(0.99), other.ms(0.99)) for mine, other in lists],
        ),
        Row(
            "scale-memory",
            f"memory of the largest service with {MANY:,} orders",
            "MB",
            Better.LOWER,
            f"{MOST_MB:.0f} MB",
            1.0,
            [Round(max(memory.values()), MOST_MB)],
            {"MB by service": memory, f"MB with {FEW:,} orders": less},
        ),
        Row(
            "scale-start",
            f"start of the slowest service with {MANY:,} orders, its state on disk",
            "s",
            Better.LOWER,
            f"{LONGEST_START:.0f} s",
            1.0,
            [Round(max(one.values()), LONGEST_START) for one in starts],
            {"s by service": starts[-1], f"s with {FEW:,} orders": quicker},
        ),
    ]
