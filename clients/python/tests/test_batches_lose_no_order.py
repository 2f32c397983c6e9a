"""Each order of a batch has one answer, in order, however many connections it takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web

from fake_service import Fake, fake, problem
from orders_client import BatchAnswer, Orders, ProblemAnswer
from orders_client.models import OrderOfOne

__all__ = ["fake"]


def order(number: int) -> OrderOfOne:
    return {"userId": "u1", "productId": f"p{number}", "quantity": 1}


class Shop:
    """Answers lines one by one, and cuts each connection after so many of them."""

    def __init__(self, *cut_after: int) -> None:
        self._cut_after = list(cut_after)
        self.placed: dict[str, dict[str, Any]] = {}
        """By key: an order with a key that is known is no second order."""
        self.lines = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Content-Type"] == "application/x-ndjson"
        left = self._cut_after.pop(0) if self._cut_after else 1 << 30
        response = web.StreamResponse()
        await response.prepare(request)
        number = 0
        while line := await request.content.readline():
            self.lines += 1
            number += 1
            body = json.loads(line)
            self.placed[body.pop("idempotencyKey")] = body
            if number > left:
                assert request.transport is not None
                request.transport.abort()
                break
            answer = {"line": number, "status": 202, "order": {"orderId": body["productId"]}}
            await response.write(json.dumps(answer).encode() + b"\n")
        return response


async def collected(answers: AsyncIterator[BatchAnswer]) -> list[tuple[int, str]]:
    async with asyncio.timeout(20):
        return [(one["line"], one["order"]["orderId"]) async for one in answers]


EXPECTED = [(number + 1, f"p{number}") for number in range(500)]


async def test_lost_connections_lose_no_order_and_place_none_twice(fake: Fake) -> None:
    shop = Shop(0, 7, 100, 1)
    fake.answers(shop)
    async with Orders(fake.url) as orders:
        assert await collected(orders.place_many(map(order, range(500)))) == EXPECTED
    assert len(fake.requests) == 5
    assert [body["productId"] for body in shop.placed.values()] == [f"p{number}" for number in range(500)]
    assert shop.lines > 500


async def test_orders_may_come_slowly_and_a_lost_connection_does_not_end_their_source(fake: Fake) -> None:
    async def trickling() -> AsyncIterator[OrderOfOne]:
        for number in range(500):
            await asyncio.sleep(0)
            yield order(number)

    fake.answers(Shop(3, 50))
    async with Orders(fake.url) as orders:
        assert await collected(orders.place_many(trickling())) == EXPECTED


async def test_no_more_is_read_from_the_caller_than_is_taken(fake: Fake) -> None:
    read = 0

    def endless() -> Iterator[OrderOfOne]:
        nonlocal read
        while True:
            read += 1
            yield {"userId": "u" * 90, "productId": "p" * 90, "quantity": 1}

    async def answers_one(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await request.content.readline()
        await response.write(b'{"line": 1, "status": 202}\n')
        await asyncio.Event().wait()
        return response

    fake.answers(answers_one)
    async with Orders(fake.url) as orders:
        answers = orders.place_many(endless())
        assert (await anext(answers))["line"] == 1
        before = -1
        async with asyncio.timeout(20):
            while read != before:  # until nothing more is taken
                before = read
                await asyncio.sleep(0.3)
        await answers.aclose()  # type: ignore[attr-defined]
    assert 1 < read < 100_000


async def test_what_is_wrong_with_one_order_is_its_answer_and_what_is_wrong_with_all_is_raised(
    fake: Fake,
) -> None:
    async def refuses_one(request: web.Request) -> web.StreamResponse:
        await request.read()
        wrong = {"line": 1, "status": 422, "problem": {"type": "/problems/invalid-request"}}
        return web.Response(body=json.dumps(wrong).encode() + b"\n")

    fake.answers(refuses_one)
    async with Orders(fake.url) as orders:
        assert [one["status"] async for one in orders.place_many([order(1)])] == [422]
    fake.answers(problem(403, "forbidden"))
    async with Orders(fake.url) as orders:
        with pytest.raises(ProblemAnswer, match="403"):
            await collected(orders.place_many([order(1)]))


async def test_a_source_that_fails_has_its_orders_answered_before_it_is_raised(fake: Fake) -> None:
    def failing() -> Iterator[OrderOfOne]:
        yield from map(order, range(3))
        raise LookupError("the file ends in the middle of a line")

    fake.answers(Shop())
    async with Orders(fake.url) as orders:
        answers = orders.place_many(failing())
        assert [(await anext(answers))["line"] for _ in range(3)] == [1, 2, 3]
        with pytest.raises(LookupError, match="in the middle"):
            await anext(answers)


async def test_no_orders_are_no_answers(fake: Fake) -> None:
    fake.answers(Shop())
    async with Orders(fake.url) as orders:
        assert await collected(orders.place_many([])) == []
