"""The HTTP side of inventory, over a bus in memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from eventbus import Bus, Envelope, Message, Position, RequestId, Unavailable
from eventbus.access import Caller
from eventbus.http.app import create_app
from eventbus.model.messages import Author
from eventbus.service.runtime import http_routes
from schemas import AdjustStock, ReleaseStock, ReserveStock, ShipStock
from services.inventory.__main__ import service
from services.inventory.api import stock_routes
from services.inventory.settings import InventorySettings
from services.inventory.stock import Stock, stock_decider
from services.inventory.stock_projection import StockProjection

NOW = 1_700_000_000_000
WHEN = "2023-11-14T22:13:20.000Z"


class MemoryBus:
    """What :class:`eventbus.Bus` promises to the stock calls: a command is decided as it is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.traces: list[tuple[str | None, str | None]] = []
        self.authors: list[Author | None] = []
        self.away = self.held = False
        self.caught_up_with: list[tuple[str, str]] = []
        self.arriving: list[Message] = []
        self._states: dict[str, Stock] = {}
        self._answers: dict[int, list[Message]] = {}
        self._decider = stock_decider()
        self._projection = StockProjection()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(self._projection.tables)

    async def send(
        self,
        command: Message,
        *,
        by: Caller | None = None,
        request: RequestId | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Position:
        if self.away:
            raise Unavailable("the command is not durable")
        self.sent.append(command)
        self.traces.append((correlation_id, traceparent))
        self.authors.append(by.author if by else None)
        if not self.held:
            self._answers[len(self.sent)] = self.decide(command, len(self.sent), request)
        return Position(command.topic, 0, len(self.sent))

    def decide(
        self, command: Message, offset: int = 1_000, request: RequestId | None = None
    ) -> list[Message]:
        """Decide a command and fold what it leads to."""
        state = self._states.get(command.key, Stock())
        events = [
            o.stamp(NOW)
            for o in self._decider.decide(command, state)
            if isinstance(o, Message) and o.topic == self._decider.log
        ]
        for event in events:
            state = self._decider.evolve(state, event)
            cause = str(Position(command.topic, 0, offset))
            self._projection.apply(self._db, envelope(event, cause, request))
        self._states[command.key] = state
        return events

    async def answer(self, position: Position, timeout: float) -> list[Message]:
        if position.offset not in self._answers:
            raise TimeoutError
        return self._answers[position.offset]

    async def caught_up(self, topic: str, key: str) -> None:
        self.caught_up_with.append((topic, key))
        for command in self.arriving:
            self.decide(command)

    async def all_caught_up(self, topic: str) -> None:
        if self.held:
            raise Unavailable("this replica has not caught up")
        await self.caught_up(topic, "")

    def fresh(self) -> bool:
        return not self.away

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._db.execute(sql, args).fetchall()


def envelope(event: Message, cause: str, request: RequestId | None) -> Envelope:
    return Envelope(
        message=event,
        id="1",
        time=NOW,
        source="/inventory",
        correlation_id="c",
        cause=cause,
        key_version=1,
        traceparent=None,
        topic=event.topic,
        partition=3,
        offset=0,
        causation_id=str(request) if request else "1",
    )


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def http(bus: MemoryBus) -> Iterator[TestClient]:
    routes = stock_routes(InventorySettings(page_size=2))
    app = create_app(
        "inventory", why_not_ready=lambda: "", max_body=1000, routes=http_routes(routes, cast(Bus, bus))
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


JSON = {"content-type": "application/json"}


def put(http: TestClient, product_id: str, quantity: int, **headers: str) -> Any:
    url = f"/stock/{quote(product_id, safe='')}/adjustments"
    return http.post(url, json={"quantity": quantity, "reason": "count"}, headers=headers)


def cup(available: int, reserved: int = 0) -> dict[str, object]:
    return {"productId": "cup", "availableQty": available, "reservedQty": reserved, "updatedAt": WHEN}


def test_what_is_adjusted_can_be_read(http: TestClient) -> None:
    answer = put(http, "cup", 5)
    assert (answer.status_code, answer.json()) == (202, cup(5))
    assert "Idempotent-Replay" not in answer.headers
    answer = http.get("/stock/cup")
    assert (answer.status_code, answer.json()) == (200, cup(5))


def test_the_interface_sends_the_command_that_the_service_declares(http: TestClient, bus: MemoryBus) -> None:
    put(http, "cup", 5)
    assert {type(command) for command in bus.sent} == set(service().sends)


def test_reserved_and_shipped_pieces_show(http: TestClient, bus: MemoryBus) -> None:
    put(http, "cup", 5)
    bus.decide(ReserveStock(product_id="cup", order_id="o1", quantity=2))
    bus.decide(ReserveStock(product_id="cup", order_id="o2", quantity=1))
    assert http.get("/stock/cup").json() == cup(2, 3)
    bus.decide(ReleaseStock(product_id="cup", order_id="o1"))
    bus.decide(ShipStock(product_id="cup", order_id="o2"))
    assert http.get("/stock/cup").json() == cup(4, 0)


def test_below_zero_is_a_conflict_and_changes_nothing(http: TestClient) -> None:
    put(http, "cup", 5)
    answer = put(http, "cup", -6)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Stock would go below zero: 5 available"
    assert answer.json()["availableQty"] == 5
    assert http.get("/stock/cup").json() == cup(5)


def test_a_key_adjusts_once(http: TestClient) -> None:
    first = put(http, "cup", 5, **{"Idempotency-Key": "k 1"})
    again = put(http, "cup", 5, **{"Idempotency-Key": "k 1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.json() == cup(5)
    other = put(http, "cup", 6, **{"Idempotency-Key": "k 1"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert put(http, "pot", 6, **{"Idempotency-Key": "k 1"}).status_code == 202


def test_a_repeat_is_told_the_stock_that_the_first_answer_told(http: TestClient, bus: MemoryBus) -> None:
    key = {"Idempotency-Key": "k"}
    put(http, "cup", 5)
    bus.decide(ReserveStock(product_id="cup", order_id="o1", quantity=2))
    first = put(http, "cup", 5, **key)
    assert first.json() == cup(8, 2)
    put(http, "cup", 90)
    again = put(http, "cup", 5, **key)
    assert (again.status_code, again.content) == (202, first.content)
    assert len(bus.sent) == 3, "what is known is not sent again"


def test_a_refusal_is_told_again_though_there_is_enough_by_now(http: TestClient, bus: MemoryBus) -> None:
    key = {"Idempotency-Key": "k"}
    put(http, "cup", 5)
    first = put(http, "cup", -6, **key)
    assert (first.status_code, "Idempotent-Replay" in first.headers) == (409, False)
    put(http, "cup", 5)
    again = put(http, "cup", -6, **key)
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["Idempotent-Replay"] == "true"
    assert http.get("/stock/cup").json() == cup(10)


@pytest.mark.parametrize("first", [5, -6])
@pytest.mark.parametrize("other", [{"quantity": 4}, {"reason": "another"}])
def test_another_body_is_refused_whatever_became_of_the_first(
    http: TestClient, first: int, other: dict[str, object]
) -> None:
    put(http, "cup", 5)
    put(http, "cup", first, **{"Idempotency-Key": "k"})
    body = {"quantity": first, "reason": "count", **other}
    answer = http.post("/stock/cup/adjustments", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == ["Idempotency-Key"]
    assert "count" not in answer.text and "below zero" not in answer.text


def test_two_replicas_that_are_asked_at_once_give_one_answer(http: TestClient, bus: MemoryBus) -> None:
    """Neither knows the key when it is asked. In between there is enough for what was refused."""
    send = bus.send

    async def overtaken(command: AdjustStock, **more: Any) -> Position:
        bus.decide(command, 77, more["request"])
        bus.decide(AdjustStock(product_id="cup", quantity=9, reason="delivery"))
        return await send(command, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus, "send", overtaken)
        answer = put(http, "cup", -6, **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["Idempotent-Replay"]) == (409, "true")
    assert http.get("/stock/cup").json() == cup(9)


def test_a_refusal_that_older_code_wrote_is_told_again(http: TestClient, bus: MemoryBus) -> None:
    """Its event does not say what was asked for, but for the quantity."""
    bus.decide(AdjustStock(product_id="cup", quantity=-6, reason="count", adjustment_id="k"))
    put(http, "cup", 10)
    assert put(http, "cup", -6, **{"Idempotency-Key": "k"}).status_code == 409
    assert put(http, "cup", -5, **{"Idempotency-Key": "k"}).status_code == 422


def test_undecided_in_time_is_503_and_says_whether_repeating_is_safe(
    http: TestClient, bus: MemoryBus
) -> None:
    bus.held = True
    answer = put(http, "cup", 5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "may adjust twice" in answer.json()["detail"]
    answer = put(http, "cup", 5, **{"Idempotency-Key": "k"})
    assert answer.status_code == 503
    assert "same Idempotency-Key" in answer.json()["detail"]


def test_without_kafka_nothing_is_promised(http: TestClient, bus: MemoryBus) -> None:
    put(http, "cup", 5)
    bus.away = True
    for answer in (put(http, "cup", 5), http.get("/stock/cup"), http.get("/stock")):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.headers["content-type"] == "application/problem+json"


def test_an_unknown_product_is_denied_only_after_catching_up(http: TestClient, bus: MemoryBus) -> None:
    assert http.get("/stock/cup").status_code == 404
    assert bus.caught_up_with == [("stock.commands", "cup")]
    bus.arriving = [AdjustStock(product_id="cup", quantity=7, reason="delivery")]
    assert http.get("/stock/cup").json() == cup(7)


def test_orders_for_what_was_never_in_stock_do_not_put_it_in_stock(http: TestClient, bus: MemoryBus) -> None:
    bus.decide(ReserveStock(product_id="cup", order_id="o1", quantity=2))
    bus.decide(ReleaseStock(product_id="cup", order_id="o1"))
    assert http.get("/stock/cup").status_code == 404
    assert http.get("/stock").json() == {"items": [], "nextCursor": None}


@pytest.mark.parametrize("product_id", ["22423 b", "a/b", "Ä€", "gift_0001_20", "?x=1#y", "x" * 100])
def test_product_ids_may_be_any_text(http: TestClient, product_id: str) -> None:
    assert put(http, product_id, 1).json()["productId"] == product_id
    assert http.get(f"/stock/{quote(product_id, safe='')}").json()["productId"] == product_id


def test_products_are_listed_by_id_in_pages(http: TestClient) -> None:
    for product_id in ["e", "a", "c d", "b", "ü"]:
        put(http, product_id, 1)
    seen, url = [], "/stock"
    while url:
        page = http.get(url).json()
        seen.append([item["productId"] for item in page["items"]])
        url = f"/stock?cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert seen == [["a", "b"], ["c d", "e"], ["ü"]]
    assert len(http.get("/stock?limit=5").json()["items"]) == 5


def test_pages_of_products_neither_skip_nor_repeat_while_products_come_and_change(http: TestClient) -> None:
    for product_id in ["a", "c", "e", "g"]:
        put(http, product_id, 1)
    page = http.get("/stock").json()
    put(http, "b", 1)
    put(http, "d", 1)
    put(http, "e", 4)
    later = http.get(f"/stock?limit=9&cursor={page['nextCursor']}").json()
    assert [item["productId"] for item in page["items"]] == ["a", "c"]
    assert [(item["productId"], item["availableQty"]) for item in later["items"]] == [
        ("d", 1),
        ("e", 5),
        ("g", 1),
    ]


def test_the_list_holds_what_was_adjusted_before_the_request_or_is_not_given(
    http: TestClient, bus: MemoryBus
) -> None:
    bus.arriving = [AdjustStock(product_id="new", quantity=3, reason="delivery")]
    assert [item["productId"] for item in http.get("/stock").json()["items"]] == ["new"]
    bus.held = True
    assert http.get("/stock").status_code == 503


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0, "reason": "r"}, "quantity"),
        ({"quantity": "5", "reason": "r"}, "quantity"),
        ({"quantity": 5.0, "reason": "r"}, "quantity"),
        ({"quantity": True, "reason": "r"}, "quantity"),
        ({"quantity": 2**31, "reason": "r"}, "quantity"),
        ({"reason": "r"}, "quantity"),
        ({"quantity": 5}, "reason"),
        ({"quantity": 5, "reason": ""}, "reason"),
        ({"quantity": 5, "reason": None}, "reason"),
        ({"quantity": 5, "reason": "x" * 201}, "reason"),
        ({"quantity": 5, "reason": "\ud800"}, "reason"),
        ({"quantity": 5, "reason": "r", "productId": "x"}, "productId"),
        ({"quantity": 5, "reason": "r", "\ud800": "x"}, "body"),
        ({"quantity": float("nan"), "reason": "r"}, "quantity"),
        ([], "body"),
    ],
)
def test_a_wrong_body_names_the_field_and_writes_nothing(
    http: TestClient, bus: MemoryBus, body: object, field: str
) -> None:
    answer = http.post("/stock/cup/adjustments", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["field"] for e in answer.json()["errors"]] == [field]
    assert bus.sent == []


@pytest.mark.parametrize(
    ("method", "url", "status", "field"),
    [
        ("GET", "/stock?limit=0", 422, "limit"),
        ("GET", "/stock?limit=1001", 422, "limit"),
        ("GET", "/stock?limit=x", 422, "limit"),
        ("GET", "/stock?cursor=%21", 422, "cursor"),
        ("GET", "/stock?cursor=_w", 422, "cursor"),
        ("GET", "/stock?productId=cup", 422, "productId"),
        ("GET", "/stock?limit=1&limit=2", 422, "limit"),
        ("GET", "/stock/" + "x" * 101, 422, "productId"),
        ("GET", "/stock/cup/adjustments", 405, None),
        ("POST", "/stock/cup", 405, None),
        ("DELETE", "/stock/cup", 405, None),
        ("POST", "/stock", 405, None),
    ],
)
def test_wrong_requests_are_problems(
    http: TestClient, method: str, url: str, status: int, field: str | None
) -> None:
    answer = http.request(method, url)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if field:
        assert [e["field"] for e in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tkey"])
def test_a_key_is_printable(http: TestClient, bus: MemoryBus, key: str) -> None:
    answer = put(http, "cup", 5, **{"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert bus.sent == []


def test_malformed_and_oversized_bodies(http: TestClient, bus: MemoryBus) -> None:
    assert http.post("/stock/cup/adjustments", content=b'{"quantity":', headers=JSON).status_code == 400
    assert http.post("/stock/cup/adjustments", content=b"x" * 1001).status_code == 413
    assert bus.sent == []


def test_traces_go_along_if_they_are_well_formed(http: TestClient, bus: MemoryBus) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    put(http, "cup", 1, **{"X-Correlation-ID": "c1", "traceparent": parent})
    put(http, "cup", 1, **{"X-Correlation-ID": "c 1", "traceparent": "nonsense"})
    assert bus.traces == [("c1", parent), (None, None)]
