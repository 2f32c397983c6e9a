"""POST /orders/batch: an answer for each line, in order; what is wrong with one line spoils no other."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from eventbus import Bus, Position
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from services.order.__main__ import service
from services.order.settings import OrderSettings
from tests.support.waiting import eventually
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.requests import MANY, ONE

NDJSON = {"content-type": "application/x-ndjson"}


def post(client: HttpClient, *lines: Any) -> list[dict[str, Any]]:
    """The answers to these lines: objects, or bytes as they are."""
    body = b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)
    answer = client.post("/orders/batch", content=body, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(one) for one in answer.text.splitlines()]


def test_each_line_is_an_order_for_itself(client: HttpClient, bus: MemoryBus) -> None:
    answers = post(client, ONE, MANY, ONE)
    assert [(a["line"], a["status"]) for a in answers] == [(1, 202), (2, 202), (3, 202)]
    single = client.post("/orders", json=MANY).json()
    assert answers[1]["order"] | {"orderId": single["orderId"]} == single
    assert len({a["order"]["orderId"] for a in answers}) == 3
    for answer in answers:
        assert client.get(f"/orders/{answer['order']['orderId']}").status_code == 200


BAD = {
    "no JSON": (b'{"userId":', 400, None),
    "blank": (b"", 400, None),
    "white space": (b"  \t", 400, None),
    "no UTF-8": (b'{"userId":"\xff","productId":"cup","quantity":1}', 400, None),
    "no object": (b"[]", 422, "body"),
    "a text": (b'"idempotencyKey"', 422, "body"),
    "two texts": (json.dumps(ONE).encode() * 2, 400, None),
    "too long": (b'{"userId":"' + b"x" * 1_048_576 + b'"}', 413, None),
    "too deep": (b"[" * 40_000, 400, None),
    "too many values": (b'{"userId":[' + b"1," * 60_000 + b"1]}", 422, "body"),
    "a field twice": (b'{"userId":"a","userId":"b","productId":"cup","quantity":1}', 422, "userId"),
    "unknown field": (json.dumps({**ONE, "colour": "red"}).encode(), 422, "colour"),
    "over a limit": (json.dumps({**ONE, "quantity": 100_001}).encode(), 422, "quantity"),
    "too many items": (json.dumps({"userId": "a", "items": [{}] * 2_001}).encode(), 422, "items"),
    "a key that is none": (json.dumps({**ONE, "idempotencyKey": "tab\t"}).encode(), 422, "idempotencyKey"),
    "a key that is a number": (json.dumps({**ONE, "idempotencyKey": 7}).encode(), 422, "idempotencyKey"),
    "an empty key": (json.dumps({**ONE, "idempotencyKey": ""}).encode(), 422, "idempotencyKey"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_and_spoils_no_other(client: HttpClient, bus: MemoryBus, name: str) -> None:
    line, status, field = BAD[name]
    first, bad, last = post(client, ONE, line, ONE)
    assert [(a["line"], a["status"]) for a in (first, last)] == [(1, 202), (3, 202)]
    assert (bad["line"], bad["status"], bad["problem"]["status"]) == (2, status, status)
    assert "order" not in bad
    if field:
        assert [error["field"] for error in bad["problem"]["errors"]] == [field]
    assert len(bus.sent) == 2


def test_lines_may_end_as_on_windows_and_the_last_without_an_end(client: HttpClient) -> None:
    one = json.dumps(ONE).encode()
    answer = client.post("/orders/batch", content=one + b"\r\n" + one, headers=NDJSON)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [202, 202]


def test_a_key_belongs_to_its_line_and_is_the_same_as_that_of_a_single_order(
    client: HttpClient, bus: MemoryBus
) -> None:
    single = client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"}).json()
    keyed = {**ONE, "idempotencyKey": "k1"}
    first, second, other, new = post(
        client, keyed, {**MANY, "idempotencyKey": "k2"}, {**keyed, "quantity": 3}, ONE
    )
    assert (first["order"], first["replayed"]) == (single, True)
    assert "replayed" not in second and "replayed" not in new
    assert other["problem"]["errors"][0]["field"] == "Idempotency-Key"
    assert first["order"]["orderId"] not in json.dumps(other)
    (again,) = post(client, {**MANY, "idempotencyKey": "k2"})
    assert (again["order"], again["replayed"]) == (second["order"], True)
    assert len([e for e in bus.log if e.message.name == "OrderCreated"]) == 3


def test_one_key_twice_in_a_batch_is_one_order(client: HttpClient, bus: MemoryBus) -> None:
    keyed = {**ONE, "idempotencyKey": "k1"}
    answers = post(client, keyed, keyed, keyed)
    assert len({a["order"]["orderId"] for a in answers}) == 1
    assert [a.get("replayed", False) for a in answers] == [False, True, True]


def test_a_key_in_the_header_is_refused(client: HttpClient, bus: MemoryBus) -> None:
    answer = client.post("/orders/batch", content=b"{}", headers={**NDJSON, "Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert "idempotencyKey" in answer.json()["detail"]
    assert bus.sent == []


def test_while_kafka_is_away_each_line_says_so(client: HttpClient, bus: MemoryBus) -> None:
    bus.away = True
    for answer in post(client, ONE, {**ONE, "idempotencyKey": "k"}):
        assert (answer["status"], answer["retryAfter"]) == (503, 1)


def test_a_line_that_is_not_decided_in_time_says_so(client: HttpClient, bus: MemoryBus) -> None:
    bus.stalled = True
    late, unkeyed = post(client, {**ONE, "idempotencyKey": "k"}, ONE)
    assert (late["status"], late["retryAfter"], unkeyed["status"]) == (503, 1, 202)


def test_a_bug_on_one_line_spoils_no_other(client: HttpClient, bus: MemoryBus) -> None:
    write = bus.write

    async def breaks(command: Any, **more: Any) -> Position:
        if command.user_id == "bug":
            raise ZeroDivisionError
        return await write(command, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "write", breaks)
        answers = post(client, ONE, {**ONE, "userId": "bug"}, ONE)
    assert [a["status"] for a in answers] == [202, 500, 202]
    assert "ZeroDivision" not in json.dumps(answers)


def overload(client: HttpClient, bus: MemoryBus) -> None:
    """Return once orders are refused for load."""
    bus.behind = 5_000
    eventually(lambda: client.post("/orders", json=ONE).status_code == 429, "orders are refused", 10)


def test_a_batch_waits_while_orders_would_be_refused(client: HttpClient, bus: MemoryBus) -> None:
    overload(client, bus)
    looks = iter(range(5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "undecided", lambda topic: 0 if next(looks, None) is None else 5_000)
        (answer,) = post(client, ONE)
    assert answer["status"] == 202
    assert next(looks, None) is None, "it looked again and again"


def test_in_the_end_its_lines_are_refused_but_repeats_are_answered(bus: MemoryBus) -> None:
    order = service(OrderSettings(answer_timeout=0.1, batch_patience=0))
    routes = http_routes(order.routes, cast(Bus, bus))
    app = create_app("order", why_not_ready=lambda: "", max_body=1_048_576, routes=routes)
    with HttpClient(app) as client:
        placed = {**ONE, "idempotencyKey": "k1"}
        (first,) = post(client, placed)
        overload(client, bus)
        sent = len(bus.sent)
        answers = post(client, ONE, placed, {**ONE, "idempotencyKey": "k2"}, b"")
        assert [a["status"] for a in answers] == [429, 202, 429, 400]
        assert [a.get("retryAfter") for a in answers] == [1, None, 1, None]
        assert (answers[1]["order"], answers[1]["replayed"]) == (first["order"], True)
        assert len(bus.sent) == sent
