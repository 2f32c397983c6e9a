"""The HTTP interface of orders: what it accepts and shows, and what it answers if an order or Kafka is missing."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace

from schemas import Contact, CreateOrder, Item
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import CREATE, DECLINED
from tests.unit.order.requests import MANY, ONE, confirm


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


def test_the_language_of_the_contact_is_part_of_the_order(client: HttpClient, bus: MemoryBus) -> None:
    with_language = MANY | {"contact": {"email": "anne@example.org", "language": "de-AT"}}
    for body in (MANY, with_language):
        assert client.post("/orders", json=body).status_code == 202
    first, second = bus.sent
    assert isinstance(first, CreateOrder) and isinstance(second, CreateOrder)
    assert second.contact == Contact(email="anne@example.org", language="de-AT")
    assert first.fingerprint != second.fingerprint, "another language is another request"


def test_the_fingerprint_of_a_request_without_a_language_is_that_of_older_releases(
    client: HttpClient, bus: MemoryBus
) -> None:
    client.post("/orders", json=ONE)
    [command] = bus.sent
    assert isinstance(command, CreateOrder)
    canonical = b'["anne", [["cup", 2, null]], null, "tok_ok", null]'
    assert command.fingerprint == hashlib.sha256(canonical).hexdigest()


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
