"""The life of an order, as a client sees it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from eventbus.model.places import Position
from tests.e2e.shop import Shop, assert_problem, order_of
from tests.e2e.topic_client import TopicClient

FIELDS = {
    "orderId", "userId", "items", "currency", "totalAmount", "status", "payment", "inventory", "failure",
    "version", "createdAt", "updatedAt", "deadlineAt",
}  # fmt: skip
UNKNOWN = "00000000-0000-7000-8000-000000000000"


def instant(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


# Taking orders in


def test_the_short_body_ends_confirmed(shop: Shop) -> None:
    product = shop.stocked()
    answer = shop.post({"userId": "u1", "productId": product, "quantity": 3})
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted["status"] == "CREATED"
    assert answer.headers["location"] == f"/orders/{accepted['orderId']}"
    assert UUID(accepted["orderId"]).version == 7
    order = shop.settled(accepted["orderId"])
    assert (order["status"], order["payment"], order["inventory"]) == ("CONFIRMED", "PAID", "RESERVED")
    assert order["items"] == [{"productId": product, "quantity": 3, "unitPrice": "1.00"}]
    assert (order["totalAmount"], order["currency"]) == ("3.00", "GBP")
    assert shop.stock(product) == (97, 3)


def test_the_full_body_ends_confirmed_with_every_field(shop: Shop) -> None:
    product = shop.stocked()
    body = {
        "userId": "ann",
        "items": [{"productId": product, "quantity": 2, "unitPrice": "2.55"}],
        "currency": "EUR",
        "paymentMethod": "tok_ok",
        "contact": {"email": "ann@example.org"},
    }
    order = shop.settled(shop.accepted(body))
    assert order.keys() >= FIELDS
    assert order["userId"] == "ann"
    assert order["items"] == body["items"]
    assert (order["totalAmount"], order["currency"]) == ("5.10", "EUR")
    assert (order["status"], order["payment"], order["inventory"]) == ("CONFIRMED", "PAID", "RESERVED")
    assert order["failure"] is None
    created, updated, deadline = (instant(order[name]) for name in ("createdAt", "updatedAt", "deadlineAt"))
    assert created <= updated < deadline
    assert abs(deadline - created - timedelta(minutes=15)) < timedelta(seconds=5)


def test_many_items_are_merged_by_product(shop: Shop) -> None:
    products = [shop.stocked(1000) for _ in range(5)]
    order = shop.settled(shop.accepted(order_of(*products, *products, *products, quantity=7, price="0.10")))
    assert order["status"] == "CONFIRMED"
    assert len(order["items"]) == 15
    assert order["totalAmount"] == "10.50"
    assert [shop.stock(product) for product in products] == [(979, 21)] * 5


def test_as_many_items_as_are_allowed(shop: Shop) -> None:
    product = shop.stocked(2000)
    order = shop.settled(shop.accepted(order_of(*[product] * 2000, price="0.01")))
    assert (order["status"], order["totalAmount"]) == ("CONFIRMED", "20.00")
    assert shop.stock(product) == (0, 2000)


def test_an_order_can_be_read_as_soon_as_it_is_accepted(shop: Shop) -> None:
    product = shop.stocked()
    for _ in range(20):
        assert shop.get(shop.accepted(order_of(product)))["items"]


def test_prefer_wait_answers_with_the_settled_order(shop: Shop) -> None:
    answer = shop.post(order_of(shop.stocked()), Prefer="wait=5")
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=5"
    assert answer.json().keys() >= FIELDS
    assert answer.json()["status"] == "CONFIRMED"


def test_prefer_wait_answers_with_the_open_order_when_the_time_is_over(shop: Shop) -> None:
    answer = shop.post(order_of(shop.stocked(), paymentMethod="tok_timeout"), Prefer="wait=1")
    assert answer.status_code == 202
    assert answer.json()["status"] in ("CREATED", "PROCESSING")
    assert shop.settled(answer.json()["orderId"])["status"] == "CONFIRMED"


# Idempotency keys


def test_the_same_key_and_body_is_the_same_order(shop: Shop) -> None:
    body, key = order_of(shop.stocked()), str(uuid4())
    first = shop.post(body, Idempotency_Key=key)
    assert first.status_code == 202
    assert "idempotent-replay" not in first.headers
    order_id = first.json()["orderId"]
    assert UUID(order_id).version == 5
    assert shop.settled(order_id)["status"] == "CONFIRMED"
    again = shop.post(body, Idempotency_Key=key)
    assert again.status_code == 202
    assert again.headers["idempotent-replay"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    assert shop.kinds(order_id).count("OrderCreated") == 1
    assert shop.movements(order_id) == [("CHARGE", 250)]


def test_the_same_key_with_another_body_is_refused(shop: Shop) -> None:
    product, key = shop.stocked(), str(uuid4())
    order_id = shop.post(order_of(product), Idempotency_Key=key).json()["orderId"]
    answer = shop.post(order_of(product, quantity=2), Idempotency_Key=key)
    assert_problem(answer, 422, "Idempotency-Key")
    assert shop.settled(order_id)["items"][0]["quantity"] == 1


def test_one_key_sent_many_times_at_once_is_one_order(shop: Shop) -> None:
    product, key = shop.stocked(), str(uuid4())
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: shop.post(order_of(product), Idempotency_Key=key), range(10)))
    assert {answer.status_code for answer in answers} == {202}
    (order_id,) = {answer.json()["orderId"] for answer in answers}
    assert shop.settled(order_id)["status"] == "CONFIRMED"
    assert shop.kinds(order_id).count("OrderCreated") == 1
    assert shop.stock(product) == (99, 1)


# Reading orders


def test_the_etag_is_the_version(shop: Shop) -> None:
    order_id = shop.confirmed(order_of(shop.stocked()))
    answer = shop.order.get(f"/orders/{order_id}")
    etag = answer.headers["etag"]
    assert etag == f'"{answer.json()["version"]}"'
    same = shop.order.get(f"/orders/{order_id}", headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert shop.change(order_id, "complete").status_code == 202
    newer = shop.order.get(f"/orders/{order_id}", headers={"If-None-Match": etag})
    assert newer.status_code == 200
    assert newer.headers["etag"] != etag


def test_wait_returns_when_the_order_is_settled_or_the_time_is_over(shop: Shop) -> None:
    order_id = shop.accepted(order_of(shop.stocked(), paymentMethod="tok_timeout"))
    assert shop.get(order_id, wait="0.2")["status"] in ("CREATED", "PROCESSING")
    order = shop.get(order_id, wait=20)
    assert order["status"] == "CONFIRMED"
    assert shop.get(order_id, wait=20)["version"] == order["version"]


def test_the_timeline_says_what_happened_why_and_where(shop: Shop, topics: TopicClient) -> None:
    order_id = shop.confirmed(order_of(shop.stocked(), contact={"email": "bob@example.org"}))
    events = shop.events(order_id)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "OrderCreated"
    assert sorted(kinds[1:3]) == ["OrderPaid", "OrderReserved"]
    assert kinds[3:] == ["OrderConfirmed"]
    assert [event["version"] for event in events] == [1, 2, 3, 4]
    causes = {event["type"]: Position.parse(event["cause"]) for event in events}
    assert causes["OrderCreated"].topic == "order.commands"
    assert causes["OrderPaid"].topic == "payment.events"
    assert causes["OrderReserved"].topic == "inventory.events"
    assert causes["OrderConfirmed"] == Position.parse(events[2]["cause"])
    assert len({(event["topic"], event["partition"]) for event in events}) == 1
    assert [instant(event["time"]) for event in events] == sorted(instant(event["time"]) for event in events)
    for event in events:
        record = topics.at(event["topic"], event["partition"], event["offset"])
        assert (record.message.name, record.message.key) == (event["type"], order_id)
        assert (record.key_version, record.cause) == (event["version"], event["cause"])
        input_ = topics.at(*causes[event["type"]])
        assert input_.message.key == order_id
        assert input_.correlation_id == record.correlation_id


@pytest.mark.parametrize("path", ["", "/events"])
def test_reading_an_order_nobody_placed_is_404(shop: Shop, path: str) -> None:
    assert_problem(shop.order.get(f"/orders/{UNKNOWN}{path}"), 404)


@pytest.mark.parametrize("verb", ["cancel", "complete"])
def test_changing_an_order_nobody_placed_is_404(shop: Shop, verb: str) -> None:
    assert_problem(shop.change(UNKNOWN, verb), 404)
