"""Five thousand clients that wait for orders to settle cost memory only, and all are answered by one event each."""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path

import pytest

from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

WAITING = 5_000
KILOBYTES = 48
"""What a client that waits may take, its connection included."""


class Waiter:
    """A client that has asked, and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def ask(cls, port: int, order_id: str) -> Waiter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /orders/{order_id}?wait=300 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return cls(reader, writer)

    async def answer(self) -> bytes:
        """The status line and the body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        return head.split(b"\r\n")[0] + await self._reader.readexactly(size)

    def hang_up(self) -> None:
        self._writer.transport.abort()


@pytest.mark.large
@pytest.mark.parametrize("orders", [1, 500])
def test_five_thousand_who_wait_cost_memory_only(system: System, orders: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    # There is no payment, so orders stay open.
    (order,) = system.start("order", EVENTBUS_HTTP_MAX_CONNECTIONS=str(2 * WAITING), ORDER_MAX_WAIT="300")
    ids = [_created(order) for _ in range(orders)]
    eventually(lambda: order.get(f"/orders/{ids[-1]}").status_code == 200, "the orders are there")
    asyncio.run(_wait(order, ids))


def _created(order: ServiceProcess) -> str:
    answer = order.post("/orders", json={"userId": "anne", "productId": "cup", "quantity": 1})
    assert answer.status_code == 202, answer.text
    order_id: str = answer.json()["orderId"]
    return order_id


async def _wait(order: ServiceProcess, ids: list[str]) -> None:
    usage = _Usage(order)
    before = usage.kilobytes()
    # In portions: the kernel keeps only so many that are not accepted yet.
    waiters: list[Waiter] = []
    for begin in range(0, WAITING, 250):
        asked = [Waiter.ask(order.port, ids[n % len(ids)]) for n in range(begin, begin + 250)]
        waiters += await asyncio.gather(*asked)
    await _connections(order, WAITING)
    taken = (usage.kilobytes() - before) / WAITING
    print(f"{taken:.1f} kB for each of {WAITING} that wait for {len(ids)} orders")
    assert taken < KILOBYTES
    idle = await asyncio.to_thread(usage.share_of_a_core, 3.0)
    print(f"{idle:.0%} of a core while they wait")
    assert idle < 0.3, "they ask nothing"
    for waiter in waiters[: WAITING // 2]:
        waiter.hang_up()
    await _connections(order, WAITING // 2)
    for order_id in dict.fromkeys(ids):
        answer = await asyncio.to_thread(order.post, f"/orders/{order_id}/cancel")
        assert answer.status_code == 202, answer.text
    answers = await asyncio.gather(*(waiter.answer() for waiter in waiters[WAITING // 2 :]))
    assert all(b" 200 " in answer and b'"status":"CANCELLED"' in answer for answer in answers)
    for waiter in waiters:
        waiter.hang_up()


async def _connections(order: ServiceProcess, count: int) -> None:
    """Return once about so many connections are open."""

    def counted() -> bool:
        return abs(order.metric("eventbus_http_connections") - count) <= 10

    await asyncio.to_thread(eventually, counted, f"{count} connections are open")


class _Usage:
    """What the process takes from its machine (proc(5))."""

    def __init__(self, process: ServiceProcess) -> None:
        self._process, self._directory = process, Path(f"/proc/{process.pid}")

    def kilobytes(self) -> int:
        status = (self._directory / "status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def share_of_a_core(self, seconds: float) -> float:
        """How much of one core it takes over that time."""
        began, before = time.monotonic(), self._seconds()
        time.sleep(seconds)
        return (self._seconds() - before) / (time.monotonic() - began)

    def _seconds(self) -> float:
        fields = (self._directory / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100
