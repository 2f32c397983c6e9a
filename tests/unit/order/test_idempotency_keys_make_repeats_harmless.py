"""The Idempotency-Key of POST /orders: a repeat gets the answer of the first request, and there is one order."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from eventbus import Message, Position
from schemas import CreateOrder
from services.order.rules import REPEATS
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.requests import MANY, ONE, confirm


def test_a_key_makes_a_repeat_harmless(client: HttpClient, bus: MemoryBus) -> None:
    first = client.post("/orders", json=MANY, headers={"Idempotency-Key": "k1"})
    confirm(bus, first.json()["orderId"])
    again = client.post("/orders", json=dict(reversed(MANY.items())), headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json() and uuid.UUID(first.json()["orderId"]).version == 5
    assert "idempotent-replay" not in first.headers and again.headers["idempotent-replay"] == "true"
    assert len([e for e in bus.log if e.message.name == "OrderCreated"]) == 1


def test_two_kinds_of_body_that_say_the_same_are_one_request(client: HttpClient) -> None:
    items = {"userId": "anne", "items": [{"productId": "cup", "quantity": 2}]}
    client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"})
    again = client.post("/orders", json=items, headers={"Idempotency-Key": "k1"})
    assert again.headers["idempotent-replay"] == "true"


def test_a_key_with_another_body_is_refused(client: HttpClient) -> None:
    client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"})
    other = client.post("/orders", json={**ONE, "quantity": 3}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_keyed_order_decided_meanwhile_by_another_replica_is_a_replay(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.stalled = True
    client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"})
    first = bus.sent[0]
    bus.stalled = False
    send = bus.send

    async def overtaken(command: Any, **trace: Any) -> Any:
        bus.happens(first, 0)
        return await send(command, **trace)

    bus.send = overtaken  # type: ignore[method-assign]
    again = client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.headers["idempotent-replay"]) == (202, "true")
    del bus.send


def test_a_keyed_order_undecided_in_time_is_503_and_repeatable(client: HttpClient, bus: MemoryBus) -> None:
    bus.stalled = True
    answer = client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    bus.stalled = False
    assert client.post("/orders", json=ONE, headers={"Idempotency-Key": "k1"}).status_code == 202


@pytest.mark.parametrize("fingerprint", ["f1", "another"])
def test_m5_a_key_that_raced_with_itself_is_answered_from_state(
    client: HttpClient, bus: MemoryBus, fingerprint: str
) -> None:
    """The order is not there when the request comes; by the time it is decided its log says nothing any more."""
    body = {"userId": "anne", "productId": "cup", "quantity": 1}
    first = client.post("/orders", json=body, headers={"Idempotency-Key": "k"})
    command = bus.sent[0]
    assert isinstance(command, CreateOrder)
    bus.clear()
    sent = bus.send

    async def send(command: Message, **more: Any) -> Position:
        mine = fingerprint == "f1"
        bus.happens(command if mine else replace(command, fingerprint=fingerprint))  # type: ignore[type-var]
        for n in range(REPEATS):
            bus.happens(command, n + 5)
        return await sent(command, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "send", send)
        answer = client.post("/orders", json=body, headers={"Idempotency-Key": "k"})
    if fingerprint == "f1":
        assert (answer.status_code, answer.json()["orderId"]) == (202, first.json()["orderId"])
        assert answer.headers["Idempotent-Replay"] == "true"
    else:
        assert answer.status_code == 422
