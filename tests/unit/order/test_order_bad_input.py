"""Bad input: a problem that names the field, and nothing written to Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.order.memory_bus import HttpClient, MemoryBus

JSON = {"content-type": "application/json"}
GOOD: dict[str, Any] = {"userId": "anne", "items": [{"productId": "cup", "quantity": 1, "unitPrice": "1.00"}]}
ONE: dict[str, Any] = {"userId": "anne", "productId": "cup", "quantity": 1}


def with_item(**change: Any) -> dict[str, Any]:
    return {**GOOD, "items": [GOOD["items"][0], {**GOOD["items"][0], **change}]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"not json",
        b'{"userId": "anne",}',
        b"\xff\xfe",
        b"[" * 40_000,
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
    ids=["empty", "open", "words", "comma", "bytes", "deep", "digits"],
)
def test_malformed_json_is_400(client: HttpClient, bus: MemoryBus, text: bytes) -> None:
    answer = client.post("/orders", content=text, headers=JSON)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert bus.sent == []


NO_QUANTITIES: list[Any] = [-1, 0, 100_001, 10**30, "3", 3.0, 1.5, True, None, [], float("nan")]
NO_PRICES: list[Any] = [
    *("-0.01", -1, -0.5, "NaN", float("nan"), float("inf"), "Infinity", "1.005", 1.005),
    *("cheap", "", True, {}, "9" * 19, 10**400),
]
BAD: list[tuple[Any, str]] = [
    ([], "body"),
    ("order", "body"),
    (None, "body"),
    ({}, "userId"),
    ({"userId": "anne"}, "items"),
    ({**GOOD, "colour": "red"}, "colour"),
    ({**GOOD, "productId": "cup"}, "productId"),
    ({**ONE, "colour": "red"}, "colour"),
    (with_item(colour="red"), "items[1].colour"),
    ({**GOOD, "userId": 7}, "userId"),
    ({**GOOD, "userId": 7.5}, "userId"),
    ({**GOOD, "userId": ""}, "userId"),
    ({**GOOD, "userId": "a\x00b"}, "userId"),
    ({**GOOD, "userId": "a\ud800b"}, "userId"),
    ({**GOOD, "userId": "a" * 101}, "userId"),
    ({**GOOD, "items": "cup"}, "items"),
    ({**GOOD, "items": {}}, "items"),
    ({**GOOD, "items": []}, "items"),
    ({**GOOD, "items": ["cup"]}, "items[0]"),
    ({**GOOD, "items": [{"productId": "cup", "quantity": 1}] * 2_001}, "items"),
    (with_item(productId=None), "items[1].productId"),
    (with_item(productId=" "), "items[1].productId"),
    *[(with_item(quantity=wrong), "items[1].quantity") for wrong in NO_QUANTITIES],
    *[({**ONE, "quantity": wrong}, "quantity") for wrong in NO_QUANTITIES],
    *[(with_item(unitPrice=wrong), "items[1].unitPrice") for wrong in NO_PRICES],
    ({**ONE, "unitPrice": "1.001"}, "unitPrice"),
    (with_item(unitPrice="999999999999999999"), "items"),
    ({**ONE, "unitPrice": "90071992547409.92"}, "items"),
    ({**GOOD, "currency": "XXX"}, "currency"),
    ({**GOOD, "currency": "gbp"}, "currency"),
    ({**GOOD, "currency": ""}, "currency"),
    ({**GOOD, "currency": 826}, "currency"),
    ({**GOOD, "currency": "JPY", "items": [{"productId": "cup", "quantity": 1}]}, "items[0].unitPrice"),
    ({**GOOD, "currency": "JPY", "items": [{**GOOD["items"][0], "unitPrice": "1.5"}]}, "items[0].unitPrice"),
    ({**GOOD, "paymentMethod": ""}, "paymentMethod"),
    ({**GOOD, "paymentMethod": None}, "paymentMethod"),
    ({**GOOD, "contact": "anne@example.org"}, "contact"),
    ({**GOOD, "contact": {"phone": "1"}}, "contact.phone"),
    ({**GOOD, "contact": {"email": "nobody"}}, "contact.email"),
    ({**GOOD, "contact": {"email": "a@b\nc"}}, "contact.email"),
    ({**GOOD, "contact": {"email": "ann@example.org, bob@example.org"}}, "contact.email"),
    ({**GOOD, "contact": {"email": "<ann@example.org>"}}, "contact.email"),
    ({**GOOD, "contact": {"email": "ann@[127.0.0.1]"}}, "contact.email"),
    ({**GOOD, "contact": {"email": "-oQ/tmp@example.org"}}, "contact.email"),
    ({**GOOD, "contact": {"language": "../de"}}, "contact.language"),
    ({**GOOD, "contact": {"language": ""}}, "contact.language"),
    ({**GOOD, "contact": {"email": "a@\ud800"}}, "contact.email"),
    ({**GOOD, "col\ud800our": 1}, "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_wrong_field_is_named_and_nothing_is_written(
    client: HttpClient, bus: MemoryBus, body: Any, field: str
) -> None:
    answer = client.post("/orders", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["message"]
    assert field in problem["detail"]
    assert bus.sent == []


def test_a_number_that_python_cannot_hold_is_400(client: HttpClient, bus: MemoryBus) -> None:
    text = json.dumps(with_item(unitPrice="?")).replace('"?"', "1e99999999999999999999")
    assert client.post("/orders", content=text, headers=JSON).status_code in (400, 422)
    assert bus.sent == []


def test_a_price_with_a_huge_exponent_is_refused_at_once(client: HttpClient, bus: MemoryBus) -> None:
    for number in ("1e999999999", "1e-999999999"):
        text = json.dumps(with_item(unitPrice="?")).replace('"?"', number)
        answer = client.post("/orders", content=text, headers=JSON)
        assert answer.json()["errors"][0]["field"] == "items[1].unitPrice"


def test_many_errors_are_listed_up_to_a_bound(client: HttpClient) -> None:
    answer = client.post("/orders", json={**GOOD, "items": [{"productId": 1}] * 500})
    assert answer.status_code == 422 and len(answer.json()["errors"]) == 20


def test_a_price_as_a_number_is_exact(client: HttpClient) -> None:
    answer = client.post("/orders", content=json.dumps(with_item(unitPrice=2.55)), headers=JSON)
    assert (answer.status_code, answer.json()["totalAmount"]) == (202, "3.55")


@pytest.mark.parametrize("key", ["", "k" * 256, "\u00e4"])
def test_a_key_that_is_no_key_is_422(client: HttpClient, bus: MemoryBus, key: str) -> None:
    answer = client.post("/orders", json=ONE, headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert bus.sent == []


def test_an_oversized_body_is_413(client: HttpClient, bus: MemoryBus) -> None:
    answer = client.post("/orders", content=b" " * 1_048_577, headers=JSON)
    assert answer.status_code == 413 and answer.headers["content-type"] == "application/problem+json"
    assert bus.sent == []


def test_a_wrong_method_is_405(client: HttpClient) -> None:
    for method, path in (("DELETE", "/orders/o1"), ("PUT", "/orders"), ("GET", "/orders/o1/cancel")):
        answer = client.request(method, path)
        assert answer.status_code == 405 and answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "text", "status", "field"),
    [
        ("cancel", b"{", 400, None),
        ("cancel", b'{"reason": 1}', 422, "reason"),
        ("cancel", b'{"why": "x"}', 422, "why"),
        ("cancel", json.dumps({"reason": "x" * 501}).encode(), 422, "reason"),
        ("cancel", b'{"reason": "\\ud800"}', 422, "reason"),
        ("complete", b'{"reason": "x"}', 422, "reason"),
        ("complete", b"[]", 422, "body"),
    ],
)
def test_a_cancel_or_complete_with_a_bad_body_is_refused(
    client: HttpClient, bus: MemoryBus, path: str, text: bytes, status: int, field: str | None
) -> None:
    answer = client.post(f"/orders/o1/{path}", content=text, headers=JSON)
    assert answer.status_code == status
    if field:
        assert answer.json()["errors"][0]["field"] == field
    assert bus.sent == []
