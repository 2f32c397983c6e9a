"""GET /orders/{id}/events: all events of an order, page by page."""

from __future__ import annotations

import pytest

from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import COMPLETE, CREATE
from tests.unit.order.requests import MANY, confirm


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
