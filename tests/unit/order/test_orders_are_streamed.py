"""GET /orders/{id}/stream and GET /orders/stream?userId=: each event once, in order, on whichever replica."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus import Bus, Caller, Envelope, Scope
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from schemas import CancelOrder, CompleteOrder
from services.order.__main__ import service
from services.order.positions import parse_positions, positions_text
from services.order.settings import OrderSettings
from services.order.streams import LOG, UserEvents
from services.order.user_feed import UserFeed
from services.order.views import timeline_view
from tests.unit.order.memory_bus import MemoryBus
from tests.unit.order.orders import COMPLETE, CREATE
from tests.unit.order.requests import confirm
from tests.unit.order.stream_client import StreamEvent, opened

PARTITIONS = 3
ORDER = service(OrderSettings(answer_timeout=0.1))


@pytest.fixture(scope="module")
def replica() -> tuple[MemoryBus, FastAPI]:
    bus = MemoryBus(ORDER.deciders[0], PARTITIONS)
    routes = http_routes(ORDER.routes, cast(Bus, bus))
    return bus, create_app("order", why_not_ready=lambda: "", max_body=1_000, routes=routes)


@pytest.fixture
def bus(replica: tuple[MemoryBus, FastAPI]) -> Iterator[MemoryBus]:
    replica[0].clear()
    yield replica[0]
    assert not replica[0].watchers, "a stream that ended is still told"


@pytest.fixture
def app(replica: tuple[MemoryBus, FastAPI], bus: MemoryBus) -> FastAPI:
    return replica[1]


def create(bus: MemoryBus, order_id: str, user_id: str) -> None:
    bus.happens(replace(CREATE, order_id=order_id, user_id=user_id))


def told(events: list[StreamEvent]) -> list[tuple[str, str]]:
    return [(event.id, event.type) for event in events]


async def test_an_order_is_streamed_from_its_first_event_and_goes_on_live(
    app: FastAPI, bus: MemoryBus
) -> None:
    create(bus, "o1", "anne")
    async with opened(app, "/orders/o1/stream") as stream:
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
        assert told(await stream.events(1)) == [("1", "OrderCreated")]
        confirm(bus, "o1")
        create(bus, "o2", "anne")
        assert told(await stream.events(3)) == [
            ("2", "OrderPaid"),
            ("3", "OrderReserved"),
            ("4", "OrderConfirmed"),
        ]
        await stream.nothing()


async def test_what_is_streamed_is_what_the_timeline_shows(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "o1", "anne")
    confirm(bus, "o1")
    rows = bus.query("SELECT * FROM order_timeline ORDER BY version")
    shown = timeline_view("o1", rows, 10)["events"]
    async with (
        opened(app, "/orders/o1/stream") as one,
        opened(app, "/orders/stream", "userId=anne&lastEventId=0") as all_,
    ):
        assert [event.data for event in await one.events(4)] == shown
        assert [event.data for event in await all_.events(4)] == shown


async def test_a_stream_goes_on_after_the_last_event_that_came(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "o1", "anne")
    confirm(bus, "o1")
    async with opened(app, "/orders/o1/stream", last_event_id="2") as stream:
        assert told(await stream.events(2)) == [("3", "OrderReserved"), ("4", "OrderConfirmed")]
    async with opened(app, "/orders/o1/stream", "lastEventId=3") as stream:
        assert told(await stream.events(1)) == [("4", "OrderConfirmed")]
    async with opened(app, "/orders/o1/stream", "lastEventId=1", last_event_id="3") as stream:
        assert told(await stream.events(1)) == [("4", "OrderConfirmed")], "a browser repeats its address"
    async with opened(app, "/orders/o1/stream", last_event_id="4") as stream:
        await stream.nothing()
        assert stream.last_id == "" or stream.last_id == "4"


async def test_a_stream_goes_on_from_a_page_of_the_list(app: FastAPI, bus: MemoryBus) -> None:
    for order_id in ("o1", "o2", "o3"):
        create(bus, order_id, "anne")
    async with opened(app, "/orders", "userId=anne") as page:
        position = page.body()["position"]
    confirm(bus, "o2")
    create(bus, "o4", "anne")
    async with opened(app, "/orders/stream", f"userId=anne&lastEventId={position}") as stream:
        found = [(event.data["data"]["orderId"], event.data["version"]) for event in await stream.events(4)]
        assert sorted(found) == [("o2", 2), ("o2", 3), ("o2", 4), ("o4", 1)]
        await stream.nothing()


async def test_a_replica_that_is_behind_the_client_repeats_nothing(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "o1", "anne")
    async with opened(app, "/orders/o1/stream", last_event_id="3") as stream:
        confirm(bus, "o1")
        assert told(await stream.events(1)) == [("4", "OrderConfirmed")]


@pytest.mark.parametrize("wrong", ["", "x", "-1", "1.0.0", "1_0", "٣", "9" * 5_000, "1 ", "é"])
async def test_an_id_that_is_none_of_an_order_is_refused(app: FastAPI, bus: MemoryBus, wrong: str) -> None:
    create(bus, "o1", "anne")
    if wrong.isprintable() and wrong != "٣":
        async with opened(app, "/orders/o1/stream", last_event_id=wrong) as answer:
            assert answer.status == 400 and "Last-Event-ID" in answer.body()["detail"]
    async with opened(app, "/orders/o1/stream", f"lastEventId={wrong}") as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "wrong", ["", "x", "1.0", "1.0.0.0", "1..0", "1.0.-1", "1,0,0", "1.0.0." + "9" * 5_000]
)
async def test_an_id_that_is_none_of_a_user_is_refused(app: FastAPI, bus: MemoryBus, wrong: str) -> None:
    async with opened(app, "/orders/stream", "userId=anne", last_event_id=wrong) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("query", ["", "userId=", "userId=%00", f"userId={'u' * 2_000}"])
async def test_a_user_that_is_none_is_refused(app: FastAPI, bus: MemoryBus, query: str) -> None:
    async with opened(app, "/orders/stream", query) as answer:
        assert answer.status == 422 and answer.body()["errors"][0]["field"] == "userId"


async def test_with_no_time_a_stream_sends_what_there_is_and_ends(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "o1", "anne")
    confirm(bus, "o1")
    for path, query in (("/orders/o1/stream", ""), ("/orders/stream", "userId=anne&lastEventId=0&")):
        async with opened(app, path, f"{query}seconds=0") as stream:
            assert len(await stream.events(4)) == 4 and await stream.next() is None
            assert "its time is over" in stream.comments[0]
    async with opened(app, "/orders/o1/stream", "seconds=-1") as answer:
        assert answer.status == 422


async def test_a_customer_follows_its_own_orders_only(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "o1", "anne")
    bob = Caller("key:bob", "api_key", frozenset({Scope.READ}), "bob")
    for path, query in (("/orders/o1/stream", ""), ("/orders/stream", "userId=anne")):
        async with opened(app, path, query, caller=bob) as answer:
            assert (answer.status, answer.body()["type"]) == (404, "/problems/order-not-found")
    anne = replace(bob, user_id="anne")
    async with opened(app, "/orders/stream", "userId=anne&lastEventId=0", caller=anne) as stream:
        assert told(await stream.events(1))[0][1] == "OrderCreated"


async def test_an_unknown_order_is_not_streamed(app: FastAPI, bus: MemoryBus) -> None:
    async with opened(app, "/orders/o1/stream") as answer:
        assert answer.status == 404


async def test_a_replica_that_cannot_say_how_things_stand_streams_nothing(
    app: FastAPI, bus: MemoryBus
) -> None:
    create(bus, "o1", "anne")
    bus.unavailable = "this replica is catching up"
    for path, query in (("/orders/o1/stream", ""), ("/orders/stream", "userId=anne")):
        async with opened(app, path, query) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.body()["detail"] == bus.unavailable


async def test_a_stream_ends_when_its_replica_cannot_say_how_things_stand_any_more(
    app: FastAPI, bus: MemoryBus
) -> None:
    create(bus, "o1", "anne")
    for path, query in (("/orders/o1/stream", ""), ("/orders/stream", "userId=anne&lastEventId=0")):
        bus.unavailable = ""
        async with opened(app, path, query) as stream:
            await stream.events(1)
            bus.end("this replica stops")
            assert await stream.next() is None
            assert stream.comments == ["this replica stops"]


async def test_a_user_gets_the_events_of_all_own_orders_from_now_on_and_no_other(
    app: FastAPI, bus: MemoryBus
) -> None:
    create(bus, "before", "anne")
    async with opened(app, "/orders/stream", "userId=anne") as stream:
        await stream.nothing()
        for n in range(10):
            create(bus, f"a{n}", "anne")
            create(bus, f"b{n}", "bob")
        confirm(bus, "before")
        found = await stream.events(13)
        await stream.nothing()
    of_orders = [e.data["data"]["orderId"] for e in found]
    assert sorted(of_orders) == [f"a{n}" for n in range(10)] + ["before"] * 3
    assert {e.data["partition"] for e in found} == set(range(PARTITIONS))


async def test_a_refusal_from_before_an_order_belongs_to_no_user(app: FastAPI, bus: MemoryBus) -> None:
    async with opened(app, "/orders/stream", "userId=anne") as stream:
        bus.happens(CancelOrder(order_id="o1", reason="too early"))
        create(bus, "o1", "anne")
        bus.happens(CompleteOrder(order_id="o1"))
        assert [e.type for e in await stream.events(2)] == ["OrderCreated", "CompleteRefused"]


async def test_a_stream_without_events_can_be_resumed_too(app: FastAPI, bus: MemoryBus) -> None:
    create(bus, "other", "bob")
    here = positions_text(bus.folded_up_to(LOG))
    async with opened(app, "/orders/stream", "userId=anne") as stream:
        await stream.nothing()
        bus.end()
        assert await stream.next() is None
        assert stream.last_id == here
    bus.unavailable = ""
    create(bus, "o1", "anne")
    async with opened(app, "/orders/stream", "userId=anne", last_event_id=here) as stream:
        assert [e.type for e in await stream.events(1)] == ["OrderCreated"]


async def test_many_streams_of_many_users_each_get_their_own(app: FastAPI, bus: MemoryBus) -> None:
    users = [f"u{n % 10}" for n in range(30)]
    begun = asyncio.Barrier(len(users) + 1)

    async def follow(user: str) -> list[str]:
        async with opened(app, "/orders/stream", f"userId={user}") as stream:
            await begun.wait()
            return [e.data["data"]["orderId"] for e in await stream.events(5)]

    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(user)) for user in users]
        await begun.wait()
        assert len(bus.watchers) == 1, "one look serves all"
        for n in range(50):
            create(bus, f"o{n:02}", f"u{n % 10}")
    for user, follower in zip(users, followers, strict=True):
        assert sorted(follower.result()) == [f"o{n:02}" for n in range(50) if f"u{n % 10}" == user]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_no_event_is_missed_or_repeated_however_often_a_user_changes_replicas(seed: int) -> None:
    """Replicas fold the partitions of one log at their own pace, and a client goes from one to the other."""
    chance = random.Random(seed)
    leader = MemoryBus(ORDER.deciders[0], PARTITIONS)
    orders = [(f"o{n}", chance.choice(["anne", "bob"])) for n in range(12)]
    for order_id, user_id in orders:
        create(leader, order_id, user_id)
        if chance.random() < 0.7:
            leader.happens(replace(COMPLETE, order_id=order_id))
    replicas = [MemoryBus(ORDER.deciders[0], PARTITIONS) for _ in range(2)]
    unread = [_by_partition(leader.log) for _ in replicas]
    offsets, got = [0] * PARTITIONS, list[tuple[str, int]]()
    for _ in range(30):
        chosen = chance.randrange(2)
        with _following(replicas[chosen], offsets) as events:
            for _ in range(chance.randrange(4)):
                _fold_some(replicas[chosen], unread[chosen], chance)
                offsets = _take(events, chance.randrange(4), offsets, got)
    for queue in unread[0]:
        for event in queue:
            replicas[0].fold(event)
    with _following(replicas[0], offsets) as events:
        _take(events, len(leader.log), offsets, got)
    annes = {order_id for order_id, user_id in orders if user_id == "anne"}
    for order_id in annes:
        versions = [event.key_version for event in leader.log if event.message.key == order_id]
        assert [version for one, version in got if one == order_id] == versions
    assert {order_id for order_id, _ in got} == annes


@contextmanager
def _following(replica: MemoryBus, offsets: list[int]) -> Iterator[UserEvents]:
    bus = cast(Bus, replica)
    with UserFeed(bus, LOG).follow("anne") as follower:
        yield UserEvents(bus, "anne", offsets, follower)


def _take(events: UserEvents, most: int, offsets: list[int], got: list[tuple[str, int]]) -> list[int]:
    """Read so many events at most; returns the position of the last one."""
    for _ in range(most):
        if (piece := events.take()) is None:
            break
        identity, _, data = piece.decode().splitlines()[:3]
        offsets = parse_positions(identity.removeprefix("id: "), PARTITIONS)
        event = json.loads(data.removeprefix("data: "))
        got.append((event["data"]["orderId"], event["version"]))
    return offsets


def _by_partition(log: list[Envelope]) -> list[list[Envelope]]:
    return [[event for event in log if event.partition == number] for number in range(PARTITIONS)]


def _fold_some(replica: MemoryBus, queues: list[list[Envelope]], chance: random.Random) -> None:
    queue = chance.choice(queues)
    for _ in range(min(len(queue), chance.randrange(6))):
        replica.fold(queue.pop(0))
