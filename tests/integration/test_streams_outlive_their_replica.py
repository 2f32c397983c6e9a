"""A client that follows a stream gets every event once, in order, while replicas are killed, stop and come back."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator

import httpx
import pytest

from tests.support.stream_followers import Follower, assert_without_gap_or_repeat, until
from tests.support.system import System

PIECES = 1_000_000


class Shop:
    """Two replicas of order, which followers and customers ask by turns, and the services behind them."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.simulator()
        self.replicas = [system.service("order", slot).start() for slot in (0, 1)]
        (inventory,) = system.start("inventory")
        system.start("payment")
        for replica in self.replicas:
            replica.wait_ready()
        system.stock(inventory, PIECES, "cup")
        self.ports = [replica.port for replica in self.replicas]

    async def order(self, client: httpx.AsyncClient, user: str, number: int) -> str:
        """Create an order, at whichever replica takes it."""
        body = {"userId": user, "productId": "cup", "quantity": 1}
        for attempt in range(200):
            port = self.ports[(number + attempt) % len(self.ports)]
            try:
                answer = await client.post(
                    f"http://127.0.0.1:{port}/orders",
                    json=body,
                    headers={"Idempotency-Key": f"{user}-{number}"},
                )
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 202:
                order_id: str = answer.json()["orderId"]
                return order_id
            assert answer.status_code in (429, 503), answer.text
            await asyncio.sleep(0.1)
        raise AssertionError("no replica takes an order")

    async def version(self, client: httpx.AsyncClient, order_id: str) -> int:
        """The version of an order that is confirmed: four events, and one for each repeat of a lost answer."""
        answer = await client.get(f"http://127.0.0.1:{self.ports[0]}/orders/{order_id}")
        body = answer.json()
        return int(body["version"]) if body.get("status") == "CONFIRMED" else 0


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("streams"), partitions=4)
    yield Shop(system)
    system.close()


async def follow_while_replicas_come_and_go(
    shop: Shop, orders: int, users: list[str], seconds: float
) -> list[Follower]:
    """One follower for each order and each user; the first replica is killed, and then the other one stops."""
    first, second = shop.replicas
    of_users = [Follower(f"/orders/stream?userId={user}&lastEventId=0", shop.ports) for user in users]
    async with httpx.AsyncClient(timeout=10.0) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(follower.follow()) for follower in of_users]
        owner: dict[str, str] = {}
        of_orders: dict[str, Follower] = {}
        turns = asyncio.Semaphore(16)

        async def customer(number: int) -> None:
            async with turns:
                order_id = await shop.order(client, users[number % len(users)], number)
            owner[order_id] = users[number % len(users)]
            of_orders[order_id] = Follower(f"/orders/{order_id}/stream", shop.ports)
            tasks.append(group.create_task(of_orders[order_id].follow()))

        async def customers(numbers: range) -> None:
            async with asyncio.TaskGroup() as crowd:
                for number in numbers:
                    crowd.create_task(customer(number))

        third = orders // 3
        await customers(range(third))
        await until(lambda: all(f.streams for f in (*of_users, *of_orders.values())), "all follow", seconds)
        second_third = asyncio.create_task(customers(range(third, 2 * third)))
        first.kill()
        await second_third
        await asyncio.to_thread(lambda: first.start().wait_ready())
        cut = sum(follower.cut for follower in of_orders.values())
        assert cut, "the killed replica served some"
        last_third = asyncio.create_task(customers(range(2 * third, orders)))
        await asyncio.to_thread(second.stop)
        await last_third
        await asyncio.to_thread(lambda: second.start().wait_ready())
        await until(
            lambda: all(len(f.got) >= 4 for f in of_orders.values()), "all orders are confirmed", seconds
        )
        wanted = {order_id: await shop.version(client, order_id) for order_id in of_orders}
        assert min(wanted.values()) >= 4, wanted
        await until(
            lambda: all(len(of_orders[order_id].got) >= upto for order_id, upto in wanted.items()),
            "all who follow an order have its events",
            seconds,
        )
        await until(
            lambda: sum(len(f.got) for f in of_users) >= sum(wanted.values()),
            "all users have all events",
            seconds,
        )
        for task in tasks:
            task.cancel()
    assert sum(follower.cut for follower in of_orders.values()) == cut, (
        "a replica that stops ends its streams"
    )
    for order_id, follower in of_orders.items():
        assert_without_gap_or_repeat(follower, [(order_id, wanted[order_id])])
    for user, follower in zip(users, of_users, strict=True):
        assert_without_gap_or_repeat(
            follower, [(order_id, wanted[order_id]) for order_id, one in owner.items() if one == user]
        )
    return [*of_users, *of_orders.values()]


def test_each_event_comes_once_while_replicas_are_killed_and_stop(shop: Shop) -> None:
    followers = asyncio.run(
        follow_while_replicas_come_and_go(
            shop, orders=36, users=[f"anne-{n}" for n in range(6)], seconds=60.0
        )
    )
    assert sum(follower.streams for follower in followers) > len(followers), "streams were resumed"


@pytest.mark.large
def test_two_thousand_streams_outlive_the_replica_that_serves_them(shop: Shop) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(
        follow_while_replicas_come_and_go(
            shop, orders=1_900, users=[f"bob-{n}" for n in range(100)], seconds=240.0
        )
    )
