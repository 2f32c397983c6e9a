"""A call goes on until there is an answer, with one key, for as long as the client is patient."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from aiohttp import web

from fake_service import Fake, Handler, fake, hangs_up, problem, says
from orders_client import NoAnswer, Orders, OrdersError, Payments, ProblemAnswer, Stock

__all__ = ["fake"]

ACCEPTED = {"orderId": "o-1", "status": "CREATED"}


async def of_a_gateway(request: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")


async def cuts_off(request: web.Request) -> web.StreamResponse:
    """Answer with less than was announced."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"orderId": ')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize(
    "failing",
    [
        hangs_up,
        cuts_off,
        of_a_gateway,
        problem(429, "too-many-orders", Retry_After="0"),
        problem(503, "unavailable", Retry_After="0"),
    ],
)
async def test_what_may_pass_is_sent_again_with_the_same_key_and_body(fake: Fake, failing: Handler) -> None:
    bodies: list[str] = []

    async def remembered(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.text())
        return await (failing if len(bodies) < 3 else says(ACCEPTED, 202))(request)

    fake.answers(remembered)
    async with Orders(fake.url) as orders:
        assert await orders.place({"userId": "u1", "productId": "p", "quantity": 1}) == ACCEPTED
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    keys = fake.headers("Idempotency-Key")
    assert keys[0]
    assert set(keys) == {keys[0]}


async def test_each_call_has_a_key_of_its_own_unless_the_caller_gives_one(fake: Fake) -> None:
    fake.answers(says(ACCEPTED, 202))
    async with Orders(fake.url) as orders, Stock(fake.url) as stock:
        for _ in range(2):
            await orders.place({"userId": "u1", "productId": "p", "quantity": 1})
            await orders.cancel("o-1", reason="twice")
            await orders.complete("o-1")
            await stock.adjust("p", 5, "delivery")
        assert len(set(fake.headers("Idempotency-Key"))) == 8
        await orders.place({"userId": "u1", "productId": "p", "quantity": 1}, key="mine")
        await orders.cancel("o-1", key="mine")
        await stock.adjust("p", 5, "delivery", key="mine")
    assert fake.headers("Idempotency-Key")[8:] == ["mine"] * 3


@pytest.mark.parametrize(
    ("status", "name"), [(400, "x"), (404, "order-not-found"), (409, "x"), (422, "x"), (500, "x"), (503, "x")]
)
async def test_what_will_not_pass_is_raised_at_once(fake: Fake, status: int, name: str) -> None:
    fake.answers(problem(status, name))
    async with Orders(fake.url) as orders:
        with pytest.raises(ProblemAnswer, match=f"{status} A title: it is so") as raised:
            await orders.show("o-1")
    assert (raised.value.status, raised.value.type) == (status, f"/problems/{name}")
    assert len(fake.requests) == 1


async def test_what_is_no_problem_of_ours_is_raised_with_its_status(fake: Fake) -> None:
    fake.answers(says({"error": "of another system"}, 418))
    async with Orders(fake.url) as orders:
        with pytest.raises(ProblemAnswer) as raised:
            await orders.show("o-1")
    assert (raised.value.status, raised.value.type) == (418, "about:blank")


async def test_patience_ends(fake: Fake) -> None:
    began = time.monotonic()
    async with Orders("http://127.0.0.1:1", patience=0.3) as orders:
        with pytest.raises(NoAnswer, match="GET /orders/o-1: no answer"):
            await orders.show("o-1")
    fake.answers(problem(503, "unavailable", Retry_After="0"))
    async with Payments(fake.url, patience=0.3) as payments:
        with pytest.raises(ProblemAnswer, match="503"):
            await payments.show("o-1")
    assert len(fake.requests) > 1
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("seconds", "attempts"), [(-5, 3), (3600, 1)], ids=["over already", "beyond the patience"]
)
async def test_when_to_come_back_may_be_a_date(fake: Fake, seconds: float, attempts: int) -> None:
    date = formatdate(time.time() + seconds, usegmt=True)
    later = problem(503, "unavailable", Retry_After=date)
    fake.answers(later, later, says({"orderId": "o-1"}))
    async with Orders(fake.url) as orders:
        if attempts == 1:
            with pytest.raises(ProblemAnswer, match="503"):
                await orders.show("o-1")
        else:
            assert (await orders.show("o-1"))["orderId"] == "o-1"
    assert len(fake.requests) == attempts


async def test_a_wait_longer_than_the_patience_is_not_begun(fake: Fake) -> None:
    fake.answers(problem(429, "too-many-orders", Retry_After="3600"))
    async with Orders(fake.url) as orders:
        with pytest.raises(OrdersError, match="429"):
            await orders.place({"userId": "u1", "productId": "p", "quantity": 1})
    assert len(fake.requests) == 1


async def test_an_attempt_that_takes_too_long_is_ended_and_repeated(fake: Fake) -> None:
    async def hangs(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("it never answers")

    fake.answers(hangs, says({"orderId": "o-1"}))
    async with Orders(fake.url, timeout=0.2) as orders:
        assert (await orders.show("o-1"))["orderId"] == "o-1"


async def test_a_token_is_asked_for_before_each_attempt(fake: Fake) -> None:
    tokens = iter(["first", "second"])

    async def renewed() -> str:
        return next(tokens)

    fake.answers(problem(503, "unavailable", Retry_After="0"), says({"orderId": "o-1"}))
    async with Orders(fake.url, token=renewed) as orders:
        await orders.show("o-1")
    async with Orders(fake.url, token=lambda: "third") as orders:
        await orders.show("o-1")
    async with Orders(fake.url, token="fourth") as orders:
        await orders.show("o-1")
    async with Orders(fake.url) as orders:
        await orders.show("o-1")
    expected = ["Bearer first", "Bearer second", "Bearer third", "Bearer fourth", None]
    assert fake.headers("Authorization") == expected


async def test_an_answer_that_leads_elsewhere_is_not_followed(fake: Fake) -> None:
    """Else the token would go to whom it is not meant for."""
    fake.answers(says({}, 307, Location="http://127.0.0.1:1/elsewhere"))
    async with Orders(fake.url, token="secret") as orders:
        with pytest.raises(ProblemAnswer, match="307"):
            await orders.show("o-1")
    assert len(fake.requests) == 1


async def test_an_id_is_one_part_of_the_path_whatever_it_holds(fake: Fake) -> None:
    fake.answers(says({}))
    async with Stock(fake.url) as stock, Orders(fake.url) as orders, Payments(fake.url) as payments:
        await stock.show("a/b c?d#e%2F")
        await orders.show("../x")
        await payments.show("ü/")
    assert [request.raw_path for request in fake.requests] == [
        "/stock/a%2Fb%20c%3Fd%23e%252F",
        "/orders/..%2Fx",
        "/payments/%C3%BC%2F",
    ]


async def test_a_list_is_read_page_by_page(fake: Fake) -> None:
    fake.answers(
        says({"orders": [{"orderId": "o-3"}, {"orderId": "o-2"}], "next": "c&1"}),
        problem(503, "unavailable", Retry_After="0"),
        says({"orders": [{"orderId": "o-1"}], "next": None}),
    )
    async with Orders(fake.url) as orders:
        found = [order["orderId"] async for order in orders.list(user_id="u 1", limit=2)]
    assert found == ["o-3", "o-2", "o-1"]
    assert [dict(request.query) for request in fake.requests] == [
        {"userId": "u 1", "limit": "2"},
        {"userId": "u 1", "limit": "2", "cursor": "c&1"},
        {"userId": "u 1", "limit": "2", "cursor": "c&1"},
    ]


async def test_to_wait_is_said_as_each_call_takes_it(fake: Fake) -> None:
    fake.answers(says({"orderId": "o-1"}))
    async with Orders(fake.url) as orders:
        await orders.place({"userId": "u1", "productId": "p", "quantity": 1}, wait=5)
        await orders.show("o-1", wait=2.5)
    assert fake.requests[0].headers["Prefer"] == "wait=5"
    assert dict(fake.requests[1].query) == {"wait": "2.5"}
