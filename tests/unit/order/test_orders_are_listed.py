"""GET /orders: what a client finds on the pages, and what is refused. How the store finds it: libs/eventbus/tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from eventbus import HoldStatus, Unavailable
from schemas import CancelOrder, Item, OrderCreated, PaymentFailed
from schemas.money import NO_CURRENCY
from services.order import list_api
from services.order.listing import ORDERS
from tests.unit.order.memory_bus import NOW, HttpClient, MemoryBus
from tests.unit.order.orders import CREATE
from tests.unit.order.requests import confirm


def place(bus: MemoryBus, order_id: str, user: str = "anne", lines: int = 1) -> None:
    """An order is created, a second after what happened before."""
    bus.now += 1_000
    items = (Item(product_id="cup", quantity=1, unit_price=1),) * lines
    bus.happens(replace(CREATE, order_id=order_id, user_id=user, items=items))


def pages(client: HttpClient, **query: Any) -> list[list[str]]:
    """The ids of the orders on each page, from the first to the last."""
    found: list[list[str]] = []
    cursor: str | None = None
    while True:
        answer = client.get(f"/orders?{urlencode(query | ({'cursor': cursor} if cursor else {}))}")
        assert answer.status_code == 200, answer.text
        found.append([order["orderId"] for order in answer.json()["orders"]])
        if (cursor := answer.json()["next"]) is None:
            return found


def test_orders_are_listed_newest_first_by_customer_status_payment_and_time(
    client: HttpClient, bus: MemoryBus
) -> None:
    for number, user in enumerate(["anne", "bob", "anne", "carl"], 1):
        place(bus, f"o{number}", user)
    confirm(bus, "o1")
    bus.happens(PaymentFailed(order_id="o3", user_id="anne", reason="declined", amount=1, currency="GBP"))

    assert pages(client) == [["o4", "o3", "o2", "o1"]]
    assert pages(client, limit=3) == [["o4", "o3", "o2"], ["o1"]]
    assert pages(client, limit=4) == [["o4", "o3", "o2", "o1"]]
    assert pages(client, userId="anne", limit=1) == [["o3"], ["o1"]]
    assert pages(client, status="CREATED") == [["o4", "o2"]]
    assert pages(client, status="FAILED", payment="FAILED") == [["o3"]]
    assert pages(client, payment="PAID", userId="anne") == [["o1"]]
    assert pages(client, status="CONFIRMED", userId="bob") == [[]]
    assert pages(client, createdAfter="2023-11-14T22:13:22Z") == [["o4", "o3"]]
    assert pages(client, createdAfter="2023-11-14T22:13:21.999Z", limit=2) == [["o4", "o3"], ["o2"]]


def test_an_order_on_a_page_is_as_it_is_shown_by_itself(client: HttpClient, bus: MemoryBus) -> None:
    place(bus, "o1")
    confirm(bus, "o1")
    place(bus, "o2")
    bus.waiting["o2"] = HoldStatus("payment", 2, NOW, dead=False)
    listed = client.get("/orders").json()["orders"]
    assert listed == [client.get(f"/orders/{name}").json() for name in ("o2", "o1")]
    assert listed[0]["held"]["service"] == "payment"


def test_pages_neither_skip_nor_repeat_while_orders_come_and_change(
    client: HttpClient, bus: MemoryBus
) -> None:
    for number in range(9):
        place(bus, f"o{number}")
    seen: list[str] = []
    cursor = ""
    for turn in range(3):
        page = client.get(f"/orders?limit=3{cursor}").json()
        seen += [order["orderId"] for order in page["orders"]]
        cursor = f"&cursor={page['next']}"
        place(bus, f"new{turn}")
        confirm(bus, f"o{turn}")
        confirm(bus, seen[-1])
    assert seen == [f"o{number}" for number in reversed(range(9))]
    assert page["next"] is None


def test_refused_orders_and_those_without_a_price_are_listed_and_what_is_no_order_is_not(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(replace(CREATE, order_id="refused", items=()))
    bus.happens(CancelOrder(order_id="nobody's", reason="?"))
    items = (Item(product_id="cup", quantity=1, unit_price=0),)
    version_1 = OrderCreated(
        order_id="o1", user_id="anne", items=items, currency=NO_CURRENCY, timestamp=NOW + 1
    )
    bus.folds(version_1)
    unpriced, refused = client.get("/orders?userId=anne").json()["orders"]
    assert (unpriced["orderId"], unpriced["currency"], unpriced["totalAmount"]) == ("o1", None, None)
    assert (refused["orderId"], refused["failure"]["stage"], refused["items"]) == (
        "refused",
        "VALIDATION",
        [],
    )


def test_a_page_of_large_orders_ends_early(client: HttpClient, bus: MemoryBus) -> None:
    for number in range(5):
        place(bus, f"o{number}", lines=1_500)
    place(bus, "o5", lines=1)
    assert pages(client) == [["o5", "o4", "o3"], ["o2", "o1"], ["o0"]]


def test_statuses_that_can_be_asked_for_are_those_that_are_listed() -> None:
    (names, _) = get_args(get_args(list_api.StatusName)[0])
    assert list(get_args(names)) == ORDERS.columns["status"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=NEW", "status"),
        ("status=paid", "status"),
        ("payment=LOST", "payment"),
        ("userId=", "userId"),
        (f"userId={'x' * 101}", "userId"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdAfter=2023-02-30T00:00:00Z", "createdAfter"),
        ("createdAfter=2023-02-03T00:00:00", "createdAfter"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        (f"cursor={'A' * 601}", "cursor"),
        ("user=anne", "user"),
        ("status=PAID&status=FAILED", "status"),
        ("userId=anne&userId=bob", "userId"),
    ],
)
def test_a_list_that_is_none_is_refused_by_name(
    client: HttpClient, bus: MemoryBus, query: str, field: str
) -> None:
    answer = client.get(f"/orders?{query}")
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_a_cursor_belongs_to_its_filters_and_is_refused_when_changed(
    client: HttpClient, bus: MemoryBus
) -> None:
    for number in range(3):
        place(bus, f"o{number}")
    cursor = client.get("/orders?limit=1&userId=anne").json()["next"]
    assert client.get(f"/orders?limit=2&userId=anne&cursor={cursor}").status_code == 200
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for query in (
        f"cursor={cursor}",
        f"userId=bob&cursor={cursor}",
        f"userId=anne&status=CREATED&cursor={cursor}",
        f"userId=anne&createdAfter=2023-11-14T22:13:22Z&cursor={cursor}",
        f"userId=anne&cursor={changed}",
        f"userId=anne&cursor={cursor[:-4]}",
        f"userId=anne&cursor={cursor}AAAA",
    ):
        answer = client.get(f"/orders?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_list_holds_what_was_accepted_before_the_request(client: HttpClient, bus: MemoryBus) -> None:
    bus.on_caught_up = lambda: bus.happens(CREATE)
    assert pages(client) == [["o1"]]


def test_a_replica_that_is_behind_lists_nothing(client: HttpClient, bus: MemoryBus) -> None:
    def behind() -> None:
        raise Unavailable("this replica has not caught up")

    bus.on_caught_up = behind
    answer = client.get("/orders")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    bus.clear()
    bus.away = True
    assert client.get("/orders").status_code == 503
