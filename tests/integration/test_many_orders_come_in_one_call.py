"""A month of real orders in one call, dirt included; and a batch that is cut off may be sent again as a whole."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas import OrderCreated
from tests.support.processes import ROOT, ServiceProcess
from tests.support.system import System
from tools.demo.invoices import load

MONTH = 2_025
"""Invoices of December 2010. ``DATA=file`` takes the real ones; without it those of the sample are repeated."""
PIECE = 64_000
Lines = list[dict[str, Any]]


def invoices() -> Lines:
    file = os.environ.get("DATA")
    found = load(Path(file) if file else ROOT / "data" / "online-retail" / "sample.jsonl")
    bodies = [json.loads(invoice.body("tok_ok")) for invoice in found]
    return bodies if file else list(islice(cycle(bodies), MONTH))


def small(count: int) -> Lines:
    return [{"userId": "anne", "productId": "cup", "quantity": 1} for _ in range(count)]


def keyed(name: str, lines: Lines) -> Lines:
    return [{**line, "idempotencyKey": f"{name}-{number}"} for number, line in enumerate(lines)]


async def pieces(lines: Sequence[dict[str, Any]]) -> AsyncIterator[bytes]:
    """The body as it is sent: pieces that end anywhere."""
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for begin in range(0, len(body), PIECE):
        yield body[begin : begin + PIECE]


def send(
    replica: ServiceProcess, lines: Lines, on_answer: Callable[[int], object] = lambda _: None
) -> tuple[Lines, bool]:
    """The answers to a batch, and whether they came to their end. ``on_answer`` is told how many there are so far."""

    async def talk() -> tuple[Lines, bool]:
        answers: Lines = []
        headers, timeout = {"content-type": "application/x-ndjson"}, aiohttp.ClientTimeout(total=500)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                url = f"http://127.0.0.1:{replica.port}/orders/batch"
                async with session.post(url, data=pieces(lines), headers=headers) as response:
                    assert response.status == 200, await response.text()
                    async for line in response.content:
                        answers.append(json.loads(line))
                        on_answer(len(answers))
            except aiohttp.ClientError:
                return answers, False
        return answers, True

    return asyncio.run(talk())


@pytest.fixture(scope="module")
def replicas(
    kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[System, list[ServiceProcess]]]:
    """Two replicas of order, and nobody who pays or reserves: what is taken in is what counts here."""
    system = System(kafka, tmp_path_factory.mktemp("batch"), partitions=4)
    started = [system.service("order", slot, ORDER_MAX_LINES="10000000").start() for slot in range(2)]
    for replica in started:
        replica.wait_ready()
    yield system, started
    system.close()


Replicas = tuple[System, list[ServiceProcess]]


def created(system: System) -> Counter[str]:
    return Counter(m.key for m in system.topics.messages("order.events") if isinstance(m, OrderCreated))


def test_a_month_of_orders_is_taken_in_with_one_call_and_sent_again_changes_nothing(
    replicas: Replicas,
) -> None:
    system, (first, second) = replicas
    lines = keyed("month", invoices())
    answers, whole = send(first, lines)
    assert whole
    assert [answer["line"] for answer in answers] == list(range(1, len(lines) + 1))
    accepted = {answer["order"]["orderId"] for answer in answers if answer["status"] == 202}
    refused = [answer["problem"] for answer in answers if answer["status"] != 202]
    assert len(accepted) + len(refused) == len(lines)
    assert {problem["status"] for problem in refused} == {422}, "the dirt of the data"
    assert all(problem["errors"] for problem in refused)
    system.wait_consumed("order")
    assert created(system) == dict.fromkeys(accepted, 1)

    again, whole = send(second, lines)
    assert whole
    assert [answer.pop("replayed", False) for answer in again] == [a["status"] == 202 for a in answers]
    assert again == answers
    system.wait_consumed("order")
    assert created(system) == dict.fromkeys(accepted, 1)


@pytest.mark.parametrize(
    "count", [4_000, pytest.param(30_000, marks=[pytest.mark.large, pytest.mark.timeout(900)])]
)
def test_a_batch_that_dies_with_its_replica_is_sent_again_to_another_and_each_order_is_made_once(
    replicas: Replicas, count: int
) -> None:
    system, (first, second) = replicas
    before = sum(created(system).values())
    lines = keyed(f"killed-{count}", small(count))

    def kill(answers: int) -> None:
        if answers == count // 4:
            first.kill()

    told, whole = send(first, lines, kill)
    assert not whole and count // 4 <= len(told) < count
    placed: dict[int, Any] = {}
    while len(placed) < count:
        missing = [number for number in range(count) if number not in placed]
        answers, whole = send(second, [lines[number] for number in missing])
        assert whole
        # Until the task of the dead replica is led again, what it would have decided is answered 503.
        assert {answer["status"] for answer in answers} <= {202, 503}
        assert all(answer["retryAfter"] == 1 for answer in answers if answer["status"] == 503)
        placed |= {n: a["order"] for n, a in zip(missing, answers, strict=True) if a["status"] == 202}
    assert [placed[number] for number in range(len(told))] == [answer["order"] for answer in told]
    first.start().wait_ready()
    system.wait_consumed("order")
    found = created(system)
    assert sum(found.values()) - before == count
    assert set(found.values()) == {1}


def test_a_client_that_hangs_up_ends_its_batch_and_the_replica_goes_on(replicas: Replicas) -> None:
    system, (first, _) = replicas
    sent = 50_000

    async def hang_up() -> None:
        headers = {"content-type": "application/x-ndjson"}
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{first.port}/orders/batch"
            async with session.post(url, data=pieces(small(sent)), headers=headers) as response:
                await response.content.readline()
                response.close()

    before = sum(created(system).values())
    asyncio.run(hang_up())
    (answer,), whole = send(first, small(1))
    assert whole and answer["status"] == 202
    system.wait_consumed("order")
    found = created(system)
    assert answer["order"]["orderId"] in found
    assert sum(found.values()) - before < sent // 2, "what came after it was sent is not taken in"
