"""A caller that acts for a customer places, sees and changes the orders of that customer only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from eventbus import Bus, Position, Why
from eventbus.access import ANONYMOUS, Caller
from eventbus.access import Scope as Allowed
from eventbus.causes.links import Failure, Link
from eventbus.causes.tree import Node
from eventbus.http.app import create_app
from eventbus.http.callers import CALLER
from eventbus.service.runtime import http_routes
from services.order.__main__ import service
from services.order.ids import keyed_order_id
from services.order.settings import OrderSettings
from tests.unit.order.memory_bus import HttpClient, MemoryBus

WITHOUT_PRICE = frozenset(Allowed) - {Allowed.PRICE}
SHOP = Caller("key:shop", "api_key", WITHOUT_PRICE)
ANNA = Caller("key:anna", "api_key", WITHOUT_PRICE, user_id="anna")
BEN = Caller("key:ben", "api_key", WITHOUT_PRICE, user_id="ben")
ORDER = {"userId": "anna", "productId": "cup", "quantity": 1}


class As:
    """ASGI middleware: all requests come from one caller, which a test may change."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.caller = app, ANONYMOUS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CALLER] = self.caller
        await self.app(scope, receive, send)


class Shop:
    """The order service as different callers see it."""

    def __init__(self) -> None:
        order = service(OrderSettings(answer_timeout=0.1))
        self.bus = MemoryBus(order.deciders[0])
        app = create_app(
            "order",
            why_not_ready=lambda: "",
            max_body=10_000,
            routes=http_routes(order.routes, cast(Bus, self.bus)),
        )
        self._as = As(app)
        self.http = HttpClient(cast(Any, self._as))

    def ask(self, who: Caller, method: str, path: str, **content: Any) -> Any:
        self._as.caller = who
        return self.http.request(method, path, **content)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    with made.http:
        yield made


def place(shop: Shop, who: Caller, key: str | None = None, **fields: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return shop.ask(who, "POST", "/orders", json={**ORDER, **fields}, headers=headers)


OTHERS = [("GET", ""), ("GET", "/events"), ("GET", "/why"), ("POST", "/cancel"), ("POST", "/complete")]


@pytest.mark.parametrize(("method", "rest"), OTHERS)
def test_orders_of_others_are_as_if_they_did_not_exist(shop: Shop, method: str, rest: str) -> None:
    path = place(shop, ANNA).headers["location"]
    assert shop.ask(ANNA, "GET", path).status_code == 200
    sent = len(shop.bus.sent)
    answer = shop.ask(BEN, method, f"{path}{rest}")
    nothing = shop.ask(BEN, method, f"/orders/nothing{rest}")
    assert answer.status_code == nothing.status_code == 404
    assert answer.text == nothing.text.replace("nothing", path.removeprefix("/orders/"))
    assert len(shop.bus.sent) == sent


def test_a_stranger_waits_as_long_for_the_answer_as_for_one_about_nothing(shop: Shop) -> None:
    path = place(shop, ANNA).headers["location"]
    waits: list[None] = []
    shop.bus.on_caught_up = lambda: waits.append(None)
    shop.ask(ANNA, "GET", path)
    assert not waits
    shop.ask(BEN, "GET", path)
    assert len(waits) == 1


def test_a_list_holds_the_orders_of_the_callers_customer_only(shop: Shop) -> None:
    mine = [place(shop, ANNA).json()["orderId"] for _ in range(3)]
    other = place(shop, BEN, userId="ben").json()["orderId"]

    def listed(who: Caller, query: str = "") -> set[str]:
        answer = shop.ask(who, "GET", f"/orders{query}")
        assert answer.status_code == 200
        return {order["orderId"] for order in answer.json()["orders"]}

    assert listed(ANNA) == listed(ANNA, "?userId=anna") == set(mine)
    assert listed(BEN) == {other}
    assert listed(BEN, "?userId=anna") == listed(BEN, "?userId=anna&limit=1") == set()
    assert listed(SHOP) == {*mine, other}
    assert listed(SHOP, "?userId=anna") == set(mine)


def test_a_cursor_of_one_caller_shows_another_nothing(shop: Shop) -> None:
    for _ in range(2):
        place(shop, ANNA)
    for who in (SHOP, ANNA):
        cursor = shop.ask(who, "GET", "/orders?limit=1").json()["next"]
        answer = shop.ask(BEN, "GET", f"/orders?limit=1&cursor={cursor}")
        assert answer.status_code == 422
        answer = shop.ask(BEN, "GET", f"/orders?limit=1&userId=anna&cursor={cursor}")
        assert answer.status_code == 422 or (answer.json()["orders"], answer.json()["next"]) == ([], None)


def test_a_customer_is_told_neither_where_brokers_are_nor_the_texts_of_errors(shop: Shop) -> None:
    path = place(shop, ANNA).headers["location"]
    failure = Failure("order", "DEAD", 3, 0, "OSError: no answer from 10.0.0.7")
    position = Position("order.retry", 0, 7)
    link = Link(position, 0, 0, b"o1", "CreateOrder", "id", "order", "c", failure=failure)
    shop.bus.told_why = Why("o1", [Node(link, 0, (), "")], 1, "", {})
    [told] = shop.ask(ANNA, "GET", f"{path}/why").json()["records"]
    assert "kcat" not in told and told["failed"]["error"] is None and told["failed"]["state"] == "DEAD"
    [told] = shop.ask(SHOP, "GET", f"{path}/why").json()["records"]
    assert "-o 7" in told["kcat"] and "10.0.0.7" in told["failed"]["error"]


def test_nobody_places_orders_of_another_customer(shop: Shop) -> None:
    answer = place(shop, BEN)
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert "userId" in answer.json()["detail"]
    assert not shop.bus.sent


def test_a_caller_for_no_customer_places_and_sees_the_orders_of_all(shop: Shop) -> None:
    for user in ("anna", "ben"):
        path = place(shop, SHOP, userId=user).headers["location"]
        assert shop.ask(SHOP, "GET", path).json()["userId"] == user


@pytest.mark.parametrize("body", [{"unitPrice": "0.01"}, {"unitPrice": "0"}])
def test_only_the_scope_price_may_say_a_price(shop: Shop, body: dict[str, str]) -> None:
    answer = place(shop, ANNA, **body)
    assert answer.status_code == 403
    assert 'scope="price"' in answer.headers["www-authenticate"]
    of_items = {
        "userId": "anna",
        "items": [{"productId": "a", "quantity": 1}, {"productId": "b", "quantity": 1, **body}],
    }
    assert shop.ask(ANNA, "POST", "/orders", json=of_items).status_code == 403
    assert not shop.bus.sent
    trusted = Caller("key:till", "api_key", frozenset(Allowed))
    assert place(shop, trusted, **body).status_code == 202


def test_keys_of_two_callers_never_collide(shop: Shop) -> None:
    mine, other = place(shop, ANNA, "k"), place(shop, SHOP, "k")
    assert mine.json()["orderId"] != other.json()["orderId"]
    assert place(shop, ANNA, "k").headers["idempotent-replay"] == "true"


def test_commands_name_who_wished_them_if_that_is_known(shop: Shop) -> None:
    place(shop, ANNA)
    place(shop, ANNA, "k")
    path = place(shop, SHOP).headers["location"]
    shop.ask(BEN, "POST", f"{path}/cancel")
    shop.ask(ANNA, "POST", f"{path}/cancel")
    place(shop, ANONYMOUS)
    authors = [author and author.id for author in shop.bus.authors]
    assert authors == ["key:anna", "key:anna", "key:shop", "key:anna", None]


def test_while_access_control_is_off_ids_are_those_of_before(shop: Shop) -> None:
    assert place(shop, ANONYMOUS, "k").json()["orderId"] == keyed_order_id("public", "k")


def test_the_lines_of_a_batch_are_held_to_the_same_rules_and_spoil_no_other(shop: Shop) -> None:
    lines = [ORDER, {**ORDER, "userId": "ben"}, {**ORDER, "unitPrice": "0.01"}, ORDER]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    headers = {"content-type": "application/x-ndjson"}
    answer = shop.ask(ANNA, "POST", "/orders/batch", content=body, headers=headers)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [202, 403, 403, 202]
    assert len(shop.bus.sent) == 2


def test_a_key_of_a_cancellation_is_that_of_its_caller(shop: Shop) -> None:
    path, key = place(shop, ANNA).headers["location"], {"Idempotency-Key": "k"}
    for who, replayed in ((ANNA, False), (SHOP, False), (ANNA, True), (SHOP, True)):
        answer = shop.ask(who, "POST", f"{path}/cancel", headers=key)
        assert (answer.status_code, "idempotent-replay" in answer.headers) == (202, replayed)
    assert shop.ask(BEN, "POST", f"{path}/cancel", headers=key).status_code == 404
