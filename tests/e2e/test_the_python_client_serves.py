"""The Python client against the running system: the first example of its README, calls while a service is killed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import uuid
from contextlib import aclosing

import pytest

from orders_client import Orders, Payments, ProblemAnswer, Stock
from orders_client.models import OrderOfOne
from tests.e2e.running import ROOT, LocalStack
from tests.e2e.shop import Shop

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


async def test_streams_go_on_where_they_stood_while_the_service_is_killed(stack: LocalStack) -> None:
    user = f"u-{uuid.uuid4().hex[:8]}"
    async with Orders(stack.url("order"), patience=60) as orders:

        async def all_events(order_id: str) -> list[tuple[int, str]]:
            """Of one order, up to its cancellation."""
            found = []
            async for one in orders.stream(order_id):
                found.append((one.data["version"], one.type))
                if one.type == "OrderReleased":
                    break
            return found

        async def of_user(count: int) -> list[tuple[str, int]]:
            """Of all orders of the user, until so many were created and cancelled."""
            found: list[tuple[str, int]] = []
            released = 0
            async for one in orders.stream_of_user(user, after=beginning):
                found.append((one.data["data"]["orderId"], one.data["version"]))
                released += one.type == "OrderReleased"
                if released == count:
                    break
            return found

        async def first_position() -> str:
            """The stream of a user begins now, whenever that is: orders are placed until it shows one."""
            async with aclosing(orders.stream_of_user(user)) as events:
                first = asyncio.ensure_future(anext(events))
                while not first.done():
                    await orders.place(order_of(user), wait=5)
                return (await first).id

        beginning = await first_position()
        streaming = asyncio.create_task(of_user(5))
        placed = [(await orders.place(order_of(user), wait=20))["orderId"] for _ in range(5)]
        watching = [asyncio.create_task(all_events(order_id)) for order_id in placed]
        before = stack.pids()["order"]
        await asyncio.to_thread(stack.kill, "order")
        for order_id in placed:
            await orders.cancel(order_id)
        async with asyncio.timeout(90):
            seen = [await one for one in watching]
            together = await streaming
        await asyncio.to_thread(stack.await_restart, "order", before)

        for order_id, events in zip(placed, seen, strict=True):
            told = [(one["version"], one["type"]) async for one in orders.events(order_id)]
            assert events == told[: len(events)], "no gap, no repeat"
            versions = [version for of, version in together if of == order_id]
            # A repeat of the cancellation may be told after the release, up to where the other orders are released.
            assert len(versions) >= len(events)
            assert versions == [version for version, _ in told[: len(versions)]], "no gap, no repeat"


async def test_a_batch_places_each_order_once_while_the_service_is_killed(
    stack: LocalStack, local_shop: Shop
) -> None:
    product, count = f"client-{uuid.uuid4().hex[:8]}", 2_000
    order: OrderOfOne = {"userId": "u-batch", "productId": product, "quantity": 1}
    async with (
        Orders(stack.url("order"), patience=60) as orders,
        Stock(stack.url("inventory")) as stock,
    ):
        await stock.adjust(product, 10_000, "delivery")
        before = stack.pids()["order"]
        found = []
        async for answer in orders.place_many(order for _ in range(count)):
            found.append(answer)
            if len(found) == count // 4:
                await asyncio.to_thread(stack.kill, "order")
        await asyncio.to_thread(stack.await_restart, "order", before)

        assert [one["line"] for one in found] == list(range(1, count + 1))
        placed = [one["order"]["orderId"] for one in found if one["status"] == 202]
        assert len(set(placed)) == len(placed) > count // 2
        for order_id in (placed[0], placed[count // 4], placed[-1]):
            assert (await orders.show(order_id, wait=30))["status"] == "CONFIRMED"
        # No order was placed twice: each holds one piece.
        await asyncio.to_thread(local_shop.await_stock, product, 10_000 - len(placed), len(placed))


def order_of(user: str) -> OrderOfOne:
    return {"userId": user, "productId": "demo-widget", "quantity": 1}
