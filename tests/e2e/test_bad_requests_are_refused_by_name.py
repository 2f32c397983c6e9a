"""What is wrong is refused with the name of what is wrong, leaves no trace, and stops nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.shop import Json, Shop, assert_problem, order_of
from tests.e2e.topic_client import TopicClient

JSON = {"content-type": "application/json"}
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def unwritten(topics: TopicClient) -> Iterator[None]:
    """The test writes nothing to the topics of commands."""
    before = {name: topics.ends(name) for name in ("order.commands", "stock.commands")}
    yield
    assert {name: topics.ends(name) for name in before} == before


def post(shop: Shop, content: bytes, path: str = "/orders") -> httpx.Response:
    return shop.order.post(path, content=content, headers=JSON)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"userId": "u1",}', b"\xff\xfe\x00", b"userId=u1", b"[" * 50_000, b'{"a": 1} 2']
)
def test_what_is_no_json_is_400(shop: Shop, content: bytes) -> None:
    assert_problem(post(shop, content), 400)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("content", [b"null", b"3", b'"order"', b"[]", b"[1, 2]"])
def test_json_that_is_no_object_is_422(shop: Shop, content: bytes) -> None:
    assert_problem(post(shop, content), 422, "body")


def with_item(**fields: Any) -> Json:
    return order_of("p") | {"items": [{"productId": "p", "quantity": 1, "unitPrice": "1.00"} | fields]}


WRONG: list[tuple[str, Json]] = [
    ("userId", order_of("p") | {"userId": 3}),
    ("userId", order_of("p") | {"userId": None}),
    ("userId", order_of("p") | {"userId": ""}),
    ("userId", order_of("p") | {"userId": "u" * 101}),
    ("userId", order_of("p") | {"userId": "a\u0000b"}),
    ("userId", {"productId": "p", "quantity": 1}),
    ("productId", {"userId": "u1", "quantity": 1}),
    ("quantity", {"userId": "u1", "productId": "p"}),
    ("quantity", {"userId": "u1", "productId": "p", "quantity": 0}),
    ("quantity", {"userId": "u1", "productId": "p", "quantity": -1}),
    ("items", {"userId": "u1"}),
    ("items", order_of()),
    ("items", order_of("p") | {"items": "p"}),
    ("items", order_of("p") | {"items": {}}),
    ("items", order_of(*["p"] * 2001)),
    ("items[0]", order_of("p") | {"items": ["p"]}),
    ("items[0].productId", with_item(productId=7)),
    ("items[0].productId", with_item(productId="")),
    ("items[0].quantity", with_item(quantity=0)),
    ("items[0].quantity", with_item(quantity=-1)),
    ("items[0].quantity", with_item(quantity=100_001)),
    ("items[0].quantity", with_item(quantity="3")),
    ("items[0].quantity", with_item(quantity=1.5)),
    ("items[0].quantity", with_item(quantity=True)),
    ("items[0].quantity", with_item(quantity=None)),
    ("items[0].quantity", with_item(quantity=10**30)),
    ("items[0].unitPrice", with_item(unitPrice="-0.01")),
    ("items[0].unitPrice", with_item(unitPrice=-1)),
    ("items[0].unitPrice", with_item(unitPrice="NaN")),
    ("items[0].unitPrice", with_item(unitPrice=float("nan"))),
    ("items[0].unitPrice", with_item(unitPrice=float("inf"))),
    ("items[0].unitPrice", with_item(unitPrice="Infinity")),
    ("items[0].unitPrice", with_item(unitPrice="1.005")),
    ("items[0].unitPrice", with_item(unitPrice="1e400")),
    ("items[0].unitPrice", with_item(unitPrice="1,50")),
    ("items[0].unitPrice", with_item(unitPrice=True)),
    ("items[0].price", with_item(price="1.00")),
    ("currency", order_of("p") | {"currency": "XXX"}),
    ("currency", order_of("p") | {"currency": "gbp"}),
    ("currency", order_of("p") | {"currency": 826}),
    ("paymentMethod", order_of("p") | {"paymentMethod": ""}),
    ("paymentMethod", order_of("p") | {"paymentMethod": ["tok_ok"]}),
    ("contact.email", order_of("p") | {"contact": {"email": "nobody"}}),
    ("contact.phone", order_of("p") | {"contact": {"phone": "1"}}),
    ("discount", order_of("p") | {"discount": "all"}),
    ("orderId", order_of("p") | {"orderId": "mine"}),
]


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    ("field", "body"), WRONG, ids=[f"{i:02d}-{name}" for i, (name, _) in enumerate(WRONG)]
)
def test_a_field_that_is_wrong_is_named(shop: Shop, field: str, body: Json) -> None:
    assert_problem(post(shop, json.dumps(body).encode()), 422, field)


@pytest.mark.usefixtures("unwritten")
def test_a_total_beyond_what_can_be_counted_is_refused(shop: Shop) -> None:
    body = with_item(quantity=100_000, unitPrice="999999999999999.99")
    assert_problem(post(shop, json.dumps(body).encode()), 422)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("key", ["", "k" * 256, "täg"])
def test_an_idempotency_key_that_is_none_is_refused(shop: Shop, key: str) -> None:
    headers = {b"idempotency-key": key.encode()}
    assert_problem(shop.order.post("/orders", json=order_of("p"), headers=headers), 422, "Idempotency-Key")


@pytest.mark.usefixtures("unwritten")
def test_a_body_beyond_the_limit_is_413(shop: Shop) -> None:
    body = json.dumps(order_of("p") | {"userId": "u" * 1_100_000}).encode()
    assert_problem(post(shop, body), 413)


@pytest.mark.usefixtures("unwritten")
def test_a_body_beyond_the_limit_that_does_not_say_so_is_413(shop: Shop) -> None:
    pieces = (b" " * 65_536 for _ in range(20))
    assert_problem(shop.order.post("/orders", content=pieces, headers=JSON), 413)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/orders/{UNKNOWN}"),
        ("GET", f"/orders/{UNKNOWN}/events"),
        ("GET", "/orders/%ff"),
        ("POST", f"/orders/{UNKNOWN}/cancel"),
        ("POST", f"/orders/{UNKNOWN}/complete"),
        ("GET", "/nothing/here"),
        ("GET", "/"),
    ],
)
def test_what_is_not_there_is_404(shop: Shop, method: str, path: str) -> None:
    assert_problem(shop.order.request(method, path), 404)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("odd", ["%00", "%1b%5b2J", "%20", "x" * 101])
def test_an_id_that_nothing_can_have_is_422(shop: Shop, odd: str) -> None:
    assert_problem(shop.order.get(f"/orders/{odd}"), 422, "orderId")
    assert_problem(shop.order.post(f"/orders/{odd}/cancel"), 422, "orderId")
    assert_problem(shop.inventory.get(f"/stock/{odd}"), 422, "productId")
    assert_problem(shop.payment.get(f"/payments/{odd}"), 422, "order_id")


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/orders/{UNKNOWN}"),
        ("PUT", f"/orders/{UNKNOWN}"),
        ("PATCH", "/orders"),
        ("GET", f"/orders/{UNKNOWN}/cancel"),
        ("POST", f"/orders/{UNKNOWN}/events"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(shop: Shop, method: str, path: str) -> None:
    answer = shop.order.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"]


@pytest.mark.usefixtures("unwritten")
def test_wrong_words_to_a_change_are_named(shop: Shop) -> None:
    assert_problem(post(shop, b'{"reason": 3}', f"/orders/{UNKNOWN}/cancel"), 422, "reason")
    assert_problem(post(shop, b'{"why": "so"}', f"/orders/{UNKNOWN}/cancel"), 422, "why")
    assert_problem(post(shop, b'{"by": "me"}', f"/orders/{UNKNOWN}/complete"), 422, "by")
    assert_problem(post(shop, b"{", f"/orders/{UNKNOWN}/complete"), 400)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("wait", ["soon", "-1", "NaN", "inf"])
def test_a_wait_that_is_no_time_is_refused(shop: Shop, wait: str) -> None:
    assert_problem(shop.order.get(f"/orders/{UNKNOWN}", params={"wait": wait}), 422, "wait")


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("quantity", {"reason": "r"}),
        ("quantity", {"quantity": 0, "reason": "r"}),
        ("quantity", {"quantity": "1", "reason": "r"}),
        ("quantity", {"quantity": 1.5, "reason": "r"}),
        ("quantity", {"quantity": 2**31, "reason": "r"}),
        ("reason", {"quantity": 1}),
        ("reason", {"quantity": 1, "reason": ""}),
        ("reason", {"quantity": 1, "reason": None}),
        ("until", {"quantity": 1, "reason": "r", "until": "noon"}),
    ],
)
def test_an_adjustment_that_is_wrong_is_named(shop: Shop, field: str, body: Json) -> None:
    assert_problem(shop.inventory.post("/stock/p/adjustments", json=body), 422, field)


@pytest.mark.usefixtures("unwritten")
def test_stock_calls_refuse_what_they_cannot_read(shop: Shop) -> None:
    url = "/stock/p/adjustments"
    assert_problem(shop.inventory.post(url, content=b"{", headers=JSON), 400)
    assert_problem(shop.inventory.post(url, content=b" " * 1_100_000, headers=JSON), 413)
    assert_problem(shop.inventory.delete("/stock/p"), 405)
    assert_problem(shop.inventory.get("/stock", params={"limit": "0"}), 422, "limit")
