"""POST /orders/{id}/cancel and /complete: the answer says what was decided, and a repeat gets the same one."""

from __future__ import annotations

import pytest

from eventbus import Message, Position
from services.order.__main__ import service
from services.order.rules import REPEATS
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import CANCEL, COMPLETE, CREATE, DECLINED, HELD, SUCCEEDED
from tests.unit.order.requests import ONE, confirm


def test_cancelling_is_answered_when_decided_and_may_be_repeated(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    for _ in range(2):
        answer = client.post("/orders/o1/cancel", json={"reason": "too late"})
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLED")
    assert client.post("/orders/o1/cancel").status_code == 202


def test_completing_a_confirmed_order(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    refused = client.post("/orders/o1/complete")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "the order is not confirmed yet"
    assert refused.json()["orderStatus"] == "CREATED" and refused.json()["status"] == 409
    confirm(bus, "o1")
    for _ in range(2):
        assert client.post("/orders/o1/complete").json()["status"] == "COMPLETED"
    assert client.post("/orders/o1/cancel").status_code == 409


def test_the_interface_sends_the_commands_that_the_service_declares(
    client: HttpClient, bus: MemoryBus
) -> None:
    for what in ("cancel", "complete"):
        order_id = client.post("/orders", json=ONE).json()["orderId"]
        confirm(bus, order_id)
        assert client.post(f"/orders/{order_id}/{what}").status_code == 202
    assert {type(command) for command in bus.sent} == set(service().sends)


def test_commands_for_an_unknown_order_are_404_and_write_nothing(client: HttpClient, bus: MemoryBus) -> None:
    for path in ("/orders/nobody/cancel", "/orders/nobody/complete"):
        assert client.post(path).status_code == 404
    assert bus.sent == []


def test_a_refused_command_from_elsewhere_makes_no_order(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CANCEL)
    assert client.get("/orders/o1").status_code == 404
    assert client.get("/orders/o1/events").status_code == 404
    assert client.post("/orders/o1/cancel").status_code == 404
    bus.happens(CREATE)
    assert client.get("/orders/o1").json()["status"] == "CREATED"


def test_an_undecided_command_is_503(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.stalled = True
    assert client.post("/orders/o1/cancel").status_code == 503


@pytest.mark.parametrize(
    ("past", "verb", "status", "reason"),
    [
        ((), "cancel", 404, None),
        ((CREATE,), "complete", 409, "the order is not confirmed yet"),
        ((CREATE, DECLINED), "cancel", 409, "the order has failed: there is nothing to cancel"),
        ((CREATE, CANCEL), "cancel", 202, None),
        ((CREATE, CANCEL), "complete", 409, "the order was cancelled"),
        (
            (CREATE, SUCCEEDED, HELD, COMPLETE),
            "cancel",
            409,
            "the order is completed: its goods were handed over",
        ),
        ((CREATE, SUCCEEDED, HELD, COMPLETE), "complete", 202, None),
    ],
)
def test_m5_the_refusedto_a_repeat_stays_the_same_when_the_timeline_says_no_more(
    client: HttpClient, bus: MemoryBus, past: tuple[Message, ...], verb: str, status: int, reason: str | None
) -> None:
    for message in past:
        bus.happens(message)
    answers = [client.post(f"/orders/o1/{verb}") for _ in range(REPEATS + 10)]
    assert {answer.status_code for answer in answers} == {status}
    assert {answer.json().get("reason") for answer in answers} == {reason}
    assert len({str(answer.json().get("orderStatus")) for answer in answers}) == 1
    assert len(bus.log) <= 5 + REPEATS
    if past:
        assert len(bus.sent) == REPEATS + 10


def test_m5_a_command_that_was_refused_while_its_order_changed_is_to_be_sent_again(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    for _ in range(REPEATS):
        bus.happens(COMPLETE)
    asked = bus.answer

    async def answer(position: Position, timeout: float) -> list[Message]:
        events = await asked(position, timeout)
        confirm(bus, "o1")
        return events

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "answer", answer)
        refused = client.post("/orders/o1/complete")
    assert (refused.status_code, refused.json()["orderStatus"]) == (409, "CONFIRMED")
    assert "ask again" in refused.json()["reason"]
    assert client.post("/orders/o1/complete").status_code == 202
