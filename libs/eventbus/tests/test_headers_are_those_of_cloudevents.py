"""Headers: those of the CloudEvents Kafka binding to the letter, and the names of three extensions before that."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from eventbus import DeadlinePassed, Retryable
from eventbus.admin import Redrive
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope
from eventbus.model.record import Headers, Raw
from eventbus.processing.own_log import Claim, Foreign, claim
from eventbus.processing.turn import Turn
from eventbus.processing.work import WorkItem
from parcels.messages import ParcelWeighed
from testbed.bench import LOG, Bench, sent

CODEC = Codec("parcels")
EVENT = ParcelWeighed(parcel_id="p1", grams=7, timestamp=1)
ENVELOPE = Envelope(
    message=EVENT,
    id="parcel/parcel.commands-2-8/2.0",
    time=1_700_000_000_123,
    source="/parcel",
    correlation_id="c1",
    cause="parcel.commands-2-8",
    key_version=3,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    topic="parcel.events",
    partition=2,
    offset=7,
    causation_id="7f1c",
)
OLD = ("correlationid", "cause", "keyversion")


class Bytes(JSONFormat):
    """The official SDK's format, for values that are not JSON: they stay the bytes they are."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:
        return body

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        assert isinstance(data, bytes)
        return data


def raw(headers: Headers, value: bytes | None = None) -> Raw:
    return Raw("parcel.events", 2, 7, b"p1", value or CODEC.encode(EVENT), headers, 5)


@pytest.mark.parametrize("old_names", [True, False])
def test_the_official_sdk_reads_every_attribute_of_what_is_written(old_names: bool) -> None:
    headers = {name: value or b"" for name, value in headers_of(ENVELOPE, old_names=old_names)}
    value = CODEC.encode(EVENT)

    event = kafka.from_kafka(kafka.KafkaMessage(headers, b"p1", value), Bytes(), CloudEvent)

    attributes = event.get_attributes()
    assert attributes.pop("time").isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert attributes == {
        "specversion": "1.0",
        "id": "parcel/parcel.commands-2-8/2.0",
        "type": "ParcelWeighed",
        "source": "/parcel",
        "subject": "p1",
        "datacontenttype": "application/avro",
        "partitionkey": "p1",
        "correlationid": "c1",
        "causationid": "7f1c",
        "cause": "parcel.commands-2-8",
        "keyversion": "3",
    }
    assert event.get_data() == value


def test_names_of_attributes_are_at_most_20_lower_case_letters_and_digits() -> None:
    names = [name for name, _ in headers_of(ENVELOPE, old_names=False)]

    assert len(names) == len(set(names))
    beside = [name for name in names if not re.fullmatch("ce_[a-z0-9]{1,20}", name)]
    assert beside == ["content-type", "traceparent"], "the binding gives these two names of their own"


def test_what_the_official_sdk_writes_is_read() -> None:
    event = CloudEvent(
        {
            "id": "a1",
            "source": "https://example.org/scales",
            "type": "ParcelWeighed",
            "time": datetime.fromisoformat("2023-11-14T23:13:20.123+01:00"),
            "datacontenttype": "application/avro",
            "correlationid": "c1",
            "causationid": "a0",
            "cause": "parcel.commands-2-8",
            "keyversion": "3",
        },
        CODEC.encode(EVENT),
    )

    written = kafka.to_binary(event, Bytes(), key_mapper=lambda _: "p1")

    read = CODEC.decode(raw(list(written.headers.items()), written.value))
    assert read == replace(
        ENVELOPE, id="a1", source="https://example.org/scales", causation_id="a0", traceparent=None
    )


def test_the_old_names_are_written_beside_the_new_ones_until_that_is_turned_off() -> None:
    both, new = headers_of(ENVELOPE), headers_of(ENVELOPE, old_names=False)

    assert set(both) - set(new) == {(name, dict(new)[f"ce_{name}"]) for name in OLD}
    assert CODEC.decode(raw(both)) == CODEC.decode(raw(new)) == ENVELOPE
    old_only = [(name, value) for name, value in both if name.removeprefix("ce_") not in OLD or name in OLD]
    assert CODEC.decode(raw(old_only)) == ENVELOPE


TEXTS = st.one_of(
    st.sampled_from([b"", b"1", b"3", b"9" * 5_000, b"\xff", "३".encode(), b"parcel.commands-0-1", b"a-b-c"]),
    st.integers(0, 5).map(lambda number: str(number).encode()),
    st.integers(0, 5).map(lambda number: b"parcel.commands-%d-1" % number),
)
NAMED = st.sampled_from([*OLD, *(f"ce_{name}" for name in OLD)])
PARTITION = partition_of(b"p1", 6)


def judged(headers: Headers) -> Claim | None:
    try:
        return claim(raw(headers)._replace(partition=PARTITION), lambda key: partition_of(key, 6))
    except Foreign:
        return None


@given(headers=st.lists(st.tuples(NAMED, TEXTS), max_size=8))
def test_a_record_with_old_names_is_judged_by_them_whatever_the_new_ones_say(headers: Headers) -> None:
    """So a replica of before and one of after the renaming never judge a record differently."""
    named = {name for name, _ in headers}
    as_before = [(name, value) for name, value in headers if not name.startswith("ce_")]
    if {"cause", "keyversion"} <= named:
        assert judged(headers) == judged(as_before)
    renamed = [(name.removeprefix("ce_"), value) for name, value in headers if name.startswith("ce_")]
    if not named & set(OLD):
        assert judged(headers) == judged(renamed)
        assert CODEC.decode(raw(headers)) == CODEC.decode(raw(renamed))


@pytest.mark.parametrize("name", ["correlationid", "ce_correlationid"])
def test_of_several_headers_with_one_name_the_last_counts(name: str) -> None:
    assert CODEC.decode(raw([(name, b"first"), (name, b"last")])).correlation_id == "last"
    too_long: Headers = [(name, b"first"), (name, b"x" * 201)]
    assert CODEC.decode(raw(too_long)).correlation_id == "parcel.events-2-7", "as if there were none"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def causes_of(bench: Bench) -> list[tuple[str | None, str | None]]:
    return [(raw.extension("cause"), raw.header("ce_causationid")) for raw in bench.topic(LOG)]


def test_what_a_message_leads_to_names_that_messages_id(bench: Bench) -> None:
    bench.feed(sent("a"))
    bench.answer("a")

    assert bench.inputs[0].header("ce_id") == "parcel.events-0"
    assert set(causes_of(bench)) == {("parcel.events-0-0", "parcel.events-0")}


def test_the_id_is_the_same_after_a_wait_and_after_a_redrive(bench: Bench) -> None:
    bench.feed(sent("a"))
    for _ in range(3):
        bench.answer("a", Retryable("away"))
        bench.wait(600_000)
    bench.feed(Redrive(message_key="a"))
    bench.wait(600_000)
    bench.answer("a")

    assert causes_of(bench)[-1] == ("parcel.events-0-0", "parcel.events-0")


def test_a_message_without_an_id_is_named_by_its_place(bench: Bench) -> None:
    message = bench.raw(sent("a"))
    bench.read([message._replace(headers=[])])
    bench.answer("a")

    assert set(causes_of(bench)) == {("parcel.events-0-0", "parcel.events-0-0")}


def test_a_deadline_is_named_by_its_place_and_key(bench: Bench) -> None:
    moment = Raw(f"{LOG}.deadline", 0, 5, None, None, [], 5)
    turn = Turn(bench.context)
    turn.decide([WorkItem(bench.reactor, moment, "a", DeadlinePassed("a", 5), correlation_id="a")])

    (event,) = turn.outgoing
    assert dict(event.headers)["ce_causationid"] == f"{LOG}.deadline-0-5/a".encode()


@pytest.mark.parametrize("old_headers", [True, False])
def test_one_setting_says_whether_the_old_names_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_headers: bool
) -> None:
    monkeypatch.setenv("EVENTBUS_OLD_HEADERS", str(old_headers))
    bench = Bench(tmp_path)
    bench.feed(sent("a"))
    bench.answer("a")

    names = {name for raw in bench.topic(LOG) for name, _ in raw.headers}
    assert names.issuperset(OLD) is old_headers
    assert names.issuperset(f"ce_{name}" for name in OLD)
