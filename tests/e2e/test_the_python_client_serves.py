"""The Python client against the running system: the first example of its README, calls while a service is killed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import uuid

import pytest

from orders_client import Orders, Payments, ProblemAnswer, Stock
from tests.e2e.running import ROOT, LocalStack

README = ROOT / "clients" / "python" / "README.md"


def test_the_first_example_of_its_readme_confirms_an_order(stack: LocalStack) -> None:
    example = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    env = stack.shell_env()
    env["PYTHONPATH"] = str(ROOT / "clients" / "python")
    done = subprocess.run(
        [sys.executable, "-c", example.replace("http://localhost:8000", stack.url("order"))],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^5013e32a-\S+ CONFIRMED 5\.10$", done.stdout, re.MULTILINE), done.stdout
    assert " OrderConfirmed" in done.stdout


async def test_orders_are_placed_once_each_while_the_service_is_killed(stack: LocalStack) -> None:
    product = f"client-{uuid.uuid4().hex[:8]}"
    async with (
        Orders(stack.url("order"), timeout=5, patience=60) as orders,
        Stock(stack.url("inventory")) as stock,
        Payments(stack.url("payment")) as payments,
    ):
        assert (await stock.adjust(product, 100, "delivery"))["availableQty"] == 100
        before = stack.pids()["order"]
        placing = [
            asyncio.create_task(
                orders.place({"userId": "u-client", "productId": product, "quantity": 1}, wait=20)
            )
            for _ in range(40)
        ]
        await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(stack.kill, "order")
        placed = await asyncio.gather(*placing)
        await asyncio.to_thread(stack.await_restart, "order", before)

        assert len({order["orderId"] for order in placed}) == 40
        for order in placed:
            settled = await orders.show(order["orderId"], wait=20)
            assert settled["status"] == "CONFIRMED", settled
            assert (await payments.show(order["orderId"]))["status"] == "PAID"
        assert (await stock.show(product))["reservedQty"] == 40, "no order was placed twice"
        assert product in [one["productId"] async for one in stock.list(limit=50)]


async def test_an_order_is_cancelled_and_a_problem_is_told_by_its_type(stack: LocalStack) -> None:
    async with Orders(stack.url("order")) as orders:
        order = await orders.place({"userId": "u-client", "productId": "demo-widget", "quantity": 1}, wait=10)
        assert (await orders.cancel(order["orderId"], reason="twice"))["status"] == "CANCELLED"
        with pytest.raises(ProblemAnswer) as raised:
            await orders.complete(order["orderId"])
        assert raised.value.type == "/problems/order-cannot-be-completed"
        types = [event["type"] async for event in orders.events(order["orderId"], limit=1)]
        assert types[0] == "OrderCreated"
        assert "OrderCancelled" in types
