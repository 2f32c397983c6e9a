"""GET /orders/{id}?asOf=: what a client was shown then, by version and by instant."""

from __future__ import annotations

import struct
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus import HoldStatus, Unavailable
from eventbus.codec import Codec
from eventbus.http import rfc3339
from schemas import CancelOrder
from services.order.past import EVENTS
from services.order.timeline import camel_case_json, from_camel_case_json
from tests.support.avro_values import values
from tests.unit.order.memory_bus import NOW, HttpClient, MemoryBus
from tests.unit.order.orders import CANCEL, COMPLETE, CREATE, MESSAGES
from tools.pin_schemas import encode
from tools.schema_folders import SchemaFile, folders

CODEC = Codec("schemas")
FILES = [
    pytest.param(file, folder.load("ids")[file.id], id=file.id)
    for folder in folders()
    for file in folder.files()
    if file.record["topic"] == "order.events"
]


@pytest.mark.parametrize(("file", "schema_id"), FILES)
@given(data=st.data())
@settings(max_examples=10)
def test_an_event_is_read_from_the_timeline_as_it_was_from_the_log(
    file: SchemaFile, schema_id: int, data: st.DataObject
) -> None:
    record = data.draw(values(file.record))
    event: Any = CODEC.decode_value(struct.pack(">bI", 0, schema_id) + encode(file, record))
    assert EVENTS[event.name] is type(event)
    assert from_camel_case_json(type(event), camel_case_json(event)) == event


def shown(client: HttpClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/orders/o1{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{found["version"]}"'
    return found


@settings(max_examples=25)
@given(st.lists(st.sampled_from(MESSAGES[1:]), min_size=1, max_size=8), st.data())
def test_what_was_shown_live_is_shown_again_by_version_and_by_instant(
    stack: tuple[MemoryBus, HttpClient], messages: list[Any], data: st.DataObject
) -> None:
    bus, client = stack
    bus.clear()
    lives: list[tuple[int, dict[str, Any]]] = []
    for offset, message in enumerate([CREATE, *messages]):
        bus.now += data.draw(st.sampled_from([0, 1, 1_000]))
        bus.happens(message, offset)
        lives.append((bus.now, shown(client)))
    for _, live in lives:
        assert shown(client, f"?asOf={live['version']}") == live
    for at in {at for at, _ in lives}:
        *_, last = (live for time, live in lives if time <= at)
        assert shown(client, f"?asOf={rfc3339(at)}") == last


def test_of_a_clock_that_went_back_the_last_event_at_the_instant_or_before_counts(
    client: HttpClient, bus: MemoryBus
) -> None:
    """The clock of a new leader may be behind that of the one before."""
    for message, at in ((CREATE, 100), (COMPLETE, 50), (CANCEL, 90)):
        bus.now = NOW + at
        bus.happens(message)
    found = [shown(client, f"?asOf={rfc3339(NOW + at)}")["version"] for at in (50, 89, 90, 100)]
    assert found == [2, 2, 3, 3]
    assert client.get(f"/orders/o1?asOf={rfc3339(NOW + 49)}").status_code == 404


def test_what_holds_an_order_now_is_no_part_of_its_past(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    before = shown(client)
    bus.waiting["o1"] = HoldStatus("payment", 2, NOW, dead=False)
    assert shown(client)["held"]["service"] == "payment"
    assert shown(client, "?asOf=1") == before


def test_an_instant_has_any_offset_and_is_cut_to_milliseconds(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.now += 1
    bus.happens(CANCEL)
    for text, version in (
        ("2023-11-14T22:13:20.0009Z", 1),
        ("2023-11-15T00:13:20.000+02:00", 1),
        ("2023-11-14T22:13:20.001Z", 2),
        ("2023-11-14t21:13:20.5-01:00", 2),
    ):
        assert shown(client, f"?asOf={quote(text)}")["version"] == version


@pytest.mark.parametrize(
    "as_of", ["0", "1", "3", "999999999", "2023-11-14T22:13:19.999Z", "0001-01-01T00:00:00Z"]
)
def test_before_the_order_and_beyond_its_last_version_there_is_nothing(
    client: HttpClient, bus: MemoryBus, as_of: str
) -> None:
    bus.happens(CancelOrder(order_id="o1", reason="too early"))
    bus.happens(CREATE)
    assert shown(client)["version"] == 2
    answer = client.get(f"/orders/o1?asOf={as_of}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/no-such-past"


def test_an_instant_to_come_is_refused_unless_an_event_is_later(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    answer = client.get("/orders/o1?asOf=9000-01-01T00:00:00Z")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "asOf", "message": "lies in the future"}]
    bus.now = 230_000_000_000_000  # the clock of a leader is wrong by millennia
    bus.happens(COMPLETE)
    assert shown(client, "?asOf=9000-01-01T00:00:00Z")["version"] == 1
    assert shown(client, f"?asOf={rfc3339(bus.now)}")["version"] == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("asOf=", "asOf"),
        ("asOf=yesterday", "asOf"),
        ("asOf=-1", "asOf"),
        ("asOf=1.0", "asOf"),
        ("asOf=1234567890", "asOf"),
        ("asOf=2023-02-30T00:00:00Z", "asOf"),
        ("asOf=2023-02-03T00:00:00", "asOf"),
        ("asOf=2023-11-15T00:13:20+02:00", "asOf"),  # the + is a space in a URL
        ("asOf=1%0a", "asOf"),
        ("asOf=1&wait=1", "wait"),
    ],
)
def test_what_is_neither_a_version_nor_an_instant_is_refused(
    client: HttpClient, bus: MemoryBus, query: str, field: str
) -> None:
    bus.happens(CREATE)
    answer = client.get(f"/orders/o1?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_past_of_no_order_is_no_order(client: HttpClient, bus: MemoryBus) -> None:
    answer = client.get("/orders/o1?asOf=1")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/order-not-found")


def test_a_replica_that_is_behind_tells_no_past(client: HttpClient, bus: MemoryBus) -> None:
    def behind() -> None:
        raise Unavailable("this replica has not caught up")

    bus.happens(CREATE)
    bus.on_caught_up = behind
    assert client.get("/orders/o1?asOf=1").status_code == 503


def test_a_version_that_is_known_is_not_sent_again(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.happens(CANCEL)
    answer = client.get("/orders/o1?asOf=1", headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
