"""The Idempotency-Key of cancel and complete: each key is decided once, and its first answer is given again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from eventbus import Position
from schemas import OrderCompleted
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import CREATE
from tests.unit.order.requests import confirm

KEY = {"Idempotency-Key": "k1"}


def ask(
    client: HttpClient, verb: str, key: str = "k1", order: str = "o1", body: Any = None
) -> httpx.Response:
    content = {} if body is None else {"json": body}
    return client.post(f"/orders/{order}/{verb}", headers={"Idempotency-Key": key}, **content)


def test_a_cancellation_is_answered_again_as_it_was_answered_first(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    first = ask(client, "cancel", body={"reason": "too late"})
    assert (first.status_code, first.json()["status"]) == (202, "CANCELLED")
    assert "idempotent-replay" not in first.headers
    confirm(bus, "o1")  # late reports: the order has moved on
    again = ask(client, "cancel", body={"reason": "too late"})
    assert again.headers["idempotent-replay"] == "true"
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert len(bus.sent) == 1


def test_a_refusal_is_answered_again_though_it_would_be_allowed_by_now(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    first = ask(client, "complete")
    assert (first.status_code, first.json()["orderStatus"]) == (409, "CREATED")
    confirm(bus, "o1")
    again = ask(client, "complete")
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["idempotent-replay"] == "true"
    assert ask(client, "complete", "k2").json()["status"] == "COMPLETED"
    assert [e.message.name for e in bus.log].count(OrderCompleted.name) == 1


def test_a_key_with_another_body_is_refused_without_a_word_of_the_first(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    ask(client, "cancel", body={"reason": "a secret"})
    other = ask(client, "cancel", body={"reason": "another"})
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert other.json()["errors"] == [
        {"field": "Idempotency-Key", "message": "was used before with another request body"}
    ]
    assert "secret" not in other.text and "CANCELLED" not in other.text


def test_a_body_that_is_left_out_is_the_same_as_an_empty_one(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    ask(client, "cancel")
    assert ask(client, "cancel", body={}).headers["idempotent-replay"] == "true"


def test_a_key_belongs_to_one_order_and_one_change(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    other = client.post("/orders", json={"userId": "anne", "productId": "cup", "quantity": 1}).json()
    assert ask(client, "cancel").status_code == 202
    assert ask(client, "complete").status_code == 409
    cancelled = ask(client, "cancel", order=other["orderId"])
    assert (cancelled.status_code, "idempotent-replay" in cancelled.headers) == (202, False)


def test_a_request_that_another_replica_decided_meanwhile_gets_that_answer(
    client: HttpClient, bus: MemoryBus
) -> None:
    """Neither replica knows the key when it asks. In between the order begins to allow what was refused."""
    bus.happens(CREATE)
    send = bus.send

    async def overtaken(command: Any, **more: Any) -> Position:
        bus.happens(command, 7, more["request"])
        confirm(bus, "o1")
        return await send(command, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "send", overtaken)
        answer = ask(client, "complete")
    assert (answer.status_code, answer.json()["orderStatus"]) == (409, "CREATED")
    assert answer.headers["idempotent-replay"] == "true"
    assert client.get("/orders/o1").json()["status"] == "CONFIRMED"


def test_undecided_in_time_is_503_and_the_same_request_is_safe(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.stalled = True
    answer = ask(client, "cancel")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    bus.stalled = False
    assert ask(client, "cancel").status_code == 202


def test_a_key_that_is_none_is_refused_and_nothing_is_sent(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    assert ask(client, "cancel", key="tab\tkey").status_code == 422
    assert bus.sent == []
