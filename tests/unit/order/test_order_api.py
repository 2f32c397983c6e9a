"""The HTTP interface of orders: what is accepted, shown, and answered when something is not there."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from eventbus import Message, Position
from schemas import Contact, CreateOrder, InventoryReserved, Item, PaymentSucceeded
from services.order.rules import REPEATS
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import CANCEL, COMPLETE, CREATE, DECLINED, HELD, SUCCEEDED

ONE = {"userId": "anne", "productId": "cup", "quantity": 2}
MANY = {
    "userId": "anne",
    "items": [
        {"productId": "cup", "quantity": 2, "unitPrice": "2.55"},
        {"productId": "plate", "quantity": 1},
    ],
    "currency": "GBP",
    "paymentMethod": "tok_flaky",
    "contact": {"email": "anne@example.org"},
}


def confirm(bus: MemoryBus, order_id: str) -> None:
    entry = bus.read(bus.decider, order_id)
    assert entry is not None
    order = entry.state
    money = {"amount": order.total_amount, "currency": order.currency}
    bus.happens(PaymentSucceeded(order_id=order_id, user_id="anne", **money))
    bus.happens(InventoryReserved(order_id=order_id, user_id="anne", items=order.items))


def test_an_order_of_one_product_is_accepted(client: HttpClient, bus: MemoryBus) -> None:
    answer = client.post("/orders", json=ONE)
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/orders/{body['orderId']}"
    assert uuid.UUID(body["orderId"]).version == 7
    assert (body["status"], body["totalAmount"], body["currency"]) == ("CREATED", "2.00", "GBP")
    (command,) = bus.sent
    assert isinstance(command, CreateOrder)
    assert command.items == (Item(product_id="cup", quantity=2, unit_price=100),)
    assert (command.user_id, command.payment_method, command.contact) == ("anne", "tok_ok", None)


def test_an_order_of_many_items_is_shown_with_every_field(client: HttpClient, bus: MemoryBus) -> None:
    order_id = client.post("/orders", json=MANY).json()["orderId"]
    assert isinstance(bus.sent[0], CreateOrder) and bus.sent[0].contact == Contact(email="anne@example.org")
    answer = client.get(f"/orders/{order_id}")
    assert answer.headers["etag"] == '"1"'
    assert answer.json() == {
        "orderId": order_id,
        "userId": "anne",
        "items": [
            {"productId": "cup", "quantity": 2, "unitPrice": "2.55"},
            {"productId": "plate", "quantity": 1, "unitPrice": "1.00"},
        ],
        "currency": "GBP",
        "totalAmount": "6.10",
        "status": "CREATED",
        "payment": "PENDING",
        "inventory": "PENDING",
        "failure": None,
        "version": 1,
        "createdAt": "2023-11-14T22:13:20.000Z",
        "updatedAt": "2023-11-14T22:13:20.000Z",
        "deadlineAt": "2023-11-14T22:28:20.000Z",
    }


def test_a_failed_order_says_at_which_stage_and_why(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.happens(DECLINED)
    body = client.get("/orders/o1").json()
    assert (body["status"], body["payment"]) == ("FAILED", "FAILED")
    assert body["failure"] == {"stage": "PAYMENT", "reason": "card declined"}


def test_an_order_refused_by_an_event_is_shown_as_failed(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(replace(CREATE, items=(Item(product_id="cup", quantity=-1, unit_price=1),)))
    body = client.get("/orders/o1").json()
    assert (body["status"], body["totalAmount"], body["items"]) == ("FAILED", None, [])
    assert body["failure"] == {
        "stage": "VALIDATION",
        "reason": "quantity must be from 1 to 100000, got -1",
        "field": "items[0].quantity",
    }


def test_the_version_a_client_has_is_not_sent_again(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    for known in ('"1"', 'W/"1"', '"0", "1"', "*"):
        assert client.get("/orders/o1", headers={"If-None-Match": known}).status_code == 304
    assert client.get("/orders/o1", headers={"If-None-Match": '"2"'}).status_code == 200


def test_a_reader_can_wait_for_the_end(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.on_wait = lambda: confirm(bus, "o1")
    assert client.get("/orders/o1").json()["status"] == "CREATED"
    assert client.get("/orders/o1?wait=5").json()["status"] == "CONFIRMED"


def test_a_wait_that_is_no_time_is_refused(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    for wrong in ("-1", "nan", "inf", "soon"):
        answer = client.get(f"/orders/o1?wait={wrong}")
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "wait"


def test_who_posts_can_prefer_to_wait(client: HttpClient, bus: MemoryBus) -> None:
    bus.on_wait = lambda: confirm(bus, bus.sent[0].key)
    answer = client.post("/orders", json=ONE, headers={"Prefer": "respond-async, wait=5"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=5")
    assert (answer.json()["status"], answer.json()["version"]) == ("CONFIRMED", 4)


def test_waiting_in_vain_gives_what_is_known(client: HttpClient, bus: MemoryBus) -> None:
    bus.stalled = True
    answer = client.post("/orders", json=ONE, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "CREATED")


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


def test_without_kafka_nothing_is_accepted_or_claimed(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.away = True
    answers = [
        client.post("/orders", json=ONE),
        client.get("/orders/o1"),
        client.get("/orders/unknown"),
        client.get("/orders/o1/events"),
        client.post("/orders/o1/cancel"),
    ]
    assert [a.status_code for a in answers] == [503] * 5
    assert all(a.headers["retry-after"] == "1" for a in answers)


def test_a_miss_is_404_only_once_this_replica_has_caught_up(client: HttpClient, bus: MemoryBus) -> None:
    for path in ("/orders/o1", "/orders/o1/events"):
        answer = client.get(path)
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
    bus.on_caught_up = lambda: bus.happens(CREATE)
    assert client.get("/orders/o1").status_code == 200


def test_the_timeline_tells_every_event(client: HttpClient, bus: MemoryBus) -> None:
    order_id = client.post("/orders", json=MANY).json()["orderId"]
    confirm(bus, order_id)
    timeline = client.get(f"/orders/{order_id}/events").json()
    assert timeline["orderId"] == order_id
    events = timeline["events"]
    assert [(e["version"], e["type"]) for e in events] == [
        (1, "OrderCreated"),
        (2, "OrderPaid"),
        (3, "OrderReserved"),
        (4, "OrderConfirmed"),
    ]
    created = events[0]
    assert (created["topic"], created["partition"], created["offset"]) == ("order.events", 0, 0)
    assert (created["cause"], created["time"]) == ("order.commands-0-0", "2023-11-14T22:13:20.000Z")
    assert created["data"]["totalAmount"] == "6.10"
    assert created["data"]["items"][0] == {"productId": "cup", "quantity": 2, "unitPrice": "2.55"}
    assert created["data"]["deadlineAt"] == "2023-11-14T22:28:20.000Z"
    assert events[1]["data"]["amount"] == "6.10"


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


def test_wishes_for_an_unknown_order_are_404_and_write_nothing(client: HttpClient, bus: MemoryBus) -> None:
    for path in ("/orders/nobody/cancel", "/orders/nobody/complete"):
        assert client.post(path).status_code == 404
    assert bus.sent == []


def test_a_refused_wish_from_elsewhere_makes_no_order(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CANCEL)
    assert client.get("/orders/o1").status_code == 404
    assert client.get("/orders/o1/events").status_code == 404
    assert client.post("/orders/o1/cancel").status_code == 404
    bus.happens(CREATE)
    assert client.get("/orders/o1").json()["status"] == "CREATED"


def test_an_undecided_wish_is_503(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.stalled = True
    assert client.post("/orders/o1/cancel").status_code == 503


def test_what_traces_a_request_travels_with_its_command(client: HttpClient, bus: MemoryBus) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.post("/orders", json=ONE, headers={"traceparent": parent, "X-Correlation-ID": "c-1"})
    client.post("/orders", json=ONE, headers={"traceparent": "nonsense", "X-Correlation-ID": ""})
    assert bus.traces == [("c-1", parent), (None, None)]


def test_the_openapi_document_describes_both_bodies(client: HttpClient) -> None:
    document = client.get("/openapi.json").json()
    post = document["paths"]["/orders"]["post"]
    bodies = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert [set(b["required"]) for b in bodies] == [{"userId", "items"}, {"userId", "productId", "quantity"}]
    assert "#/$defs" not in str(document)


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
def test_m5_the_answer_to_a_repeat_stays_the_same_when_the_timeline_says_no_more(
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


def test_m5_a_wish_that_was_refused_while_its_order_changed_is_to_be_asked_again(
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
        told = client.post("/orders/o1/complete")
    assert (told.status_code, told.json()["orderStatus"]) == (409, "CONFIRMED")
    assert "ask again" in told.json()["reason"]
    assert client.post("/orders/o1/complete").status_code == 202


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

    async def send(command: Message, **trace: str | None) -> Position:
        mine = fingerprint == "f1"
        bus.happens(command if mine else replace(command, fingerprint=fingerprint))  # type: ignore[type-var]
        for n in range(REPEATS):
            bus.happens(command, n + 5)
        return await sent(command, **trace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "send", send)
        told = client.post("/orders", json=body, headers={"Idempotency-Key": "k"})
    if fingerprint == "f1":
        assert (told.status_code, told.json()["orderId"]) == (202, first.json()["orderId"])
        assert told.headers["Idempotent-Replay"] == "true"
    else:
        assert told.status_code == 422


def test_m5_a_timeline_has_pages(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    for n in range(6):
        bus.happens(COMPLETE, n + 1)
    whole = client.get("/orders/o1/events").json()
    assert len(whole["events"]) == 7 and whole["next"] is None
    found, sizes = [], []
    cursor: str | None = "0"
    while cursor is not None:
        page = client.get(f"/orders/o1/events?limit=3&cursor={cursor}").json()
        found += page["events"]
        sizes.append(len(page["events"]))
        cursor = page["next"]
    assert found == whole["events"] and sizes == [3, 3, 1]
    assert client.get("/orders/o1/events?limit=7").json()["next"] is None
    assert client.get("/orders/o1/events?limit=1&cursor=7").json() == {
        "orderId": "o1",
        "events": [],
        "next": None,
    }


def test_m5_a_timeline_that_an_older_release_let_grow_is_read_page_by_page(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.order.decider.REPEATS", 10_000)
        for n in range(3_006):
            bus.happens(COMPLETE, n + 1)
    page = client.get("/orders/o1/events")
    assert (len(page.json()["events"]), page.json()["next"]) == (200, "200")
    assert len(page.content) < 100_000
    assert len(client.get("/orders/o1/events?limit=1000&cursor=2007").json()["events"]) == 1000


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "cursor=x", "cursor=-1", f"cursor={'9' * 5000}"]
)
def test_m5_a_page_that_is_none_is_refused(client: HttpClient, bus: MemoryBus, query: str) -> None:
    bus.happens(CREATE)
    answer = client.get(f"/orders/o1/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]
