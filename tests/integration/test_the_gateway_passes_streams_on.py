"""Behind HAProxy, with the gateway's own settings: a stream is neither held back nor cut, and goes on elsewhere."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.stream_followers import Follower, assert_without_gap_or_repeat, until
from tests.support.system import System
from tests.support.waiting import eventually
from tools.stack.gateway import FILES, config_for, find
from tools.stack.ports import free_port

SECONDS = 2
"""What the gateway's time limits of 90 s are here. Heartbeats come as many times more often."""

pytestmark = pytest.mark.skipif(not find(), reason="HAProxy is not installed (Debian: apt install haproxy)")


def rules() -> str:
    """The gateway's rules, with shorter time limits."""
    text = (FILES / "rules.cfg").read_text()
    rules, changed = re.subn(r"timeout (client|server) 90s", rf"timeout \1 {SECONDS}s", text)
    assert changed == 2
    return rules


@pytest.fixture
def gateway(system: System, tmp_path: Path) -> Iterator[int]:
    """The port of a gateway in front of two replicas of order, which are ready."""
    started = [system.service("order", slot).start(EVENTBUS_HTTP_HEARTBEAT="0.33") for slot in (0, 1)]
    for replica in started:
        replica.wait_ready()
    port, files = free_port(), [tmp_path / "rules.cfg", tmp_path / "gateway.cfg"]
    files[0].write_text(rules())
    files[1].write_text(config_for({"order": (port, [replica.port for replica in started])}))
    command = [find(), "-db", *(word for file in files for word in ("-f", str(file)))]
    with (tmp_path / "haproxy.log").open("wb") as log:
        env = {**os.environ, "GATEWAY_FILES": str(FILES)}
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(port), "the gateway has found a replica")
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_stream_passes_the_gateway_as_it_comes_and_outlives_a_replica(system: System, gateway: int) -> None:
    asyncio.run(_follow(system, gateway))


async def _follow(system: System, gateway: int) -> None:
    follower = Follower("/orders/stream?userId=anne", [gateway])
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway}", timeout=10) as client:
        following = asyncio.create_task(follower.follow())
        await until(lambda: follower.streams == 1, "the stream has begun")
        quiet = time.monotonic() + 2 * SECONDS
        await until(lambda: time.monotonic() > quiet, "nothing has happened for longer than the time limits")
        orders = [await _order(client)]
        await until(lambda: len(follower.got) == 1, "the event has passed", timeout=1.0)
        assert follower.streams == 1, "the gateway has not cut the stream"
        for replica in system.processes:
            replica.kill()
            orders.append(await _order(client))
            await until(lambda: len(follower.got) == len(orders), "the stream goes on at the other replica")
            await asyncio.to_thread(replica.start().wait_ready)
        following.cancel()
    assert follower.streams > 1
    assert_without_gap_or_repeat(follower, [(order_id, 1) for order_id in orders])


async def _order(client: httpx.AsyncClient) -> str:
    """Create an order, as soon as the gateway has found a replica that takes it."""
    body = {"userId": "anne", "productId": "cup", "quantity": 1}
    for _ in range(100):
        answer = await client.post("/orders", json=body)
        if answer.status_code == 202:
            order_id: str = answer.json()["orderId"]
            return order_id
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)
