"""What a record in an own log is: the next event of its key, one that may be real but cannot be read, or foreign."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope
from eventbus.model.record import Headers, Raw
from eventbus.processing.fold_batch import FoldBatch
from eventbus.processing.own_log import Doubtful, Foreign, Newer, next_event, parked_message
from eventbus.retry.parked import FORMAT, RETRY, Parked, State
from eventbus.state.store import Store
from parcels.decider import Parcel, decider
from parcels.messages import CourierNoted, ParcelSent, ParcelWeighed

CODEC = Codec("parcels")
KEY = "o1"
PARTITION = partition_of(KEY.encode(), 6)


def partitions(key: bytes) -> int:
    return partition_of(key, 6)


def event(version: int = 3, **change: object) -> Raw:
    """The third event of its key, as its leader writes it, but for what is changed."""
    message = ParcelWeighed(parcel_id=KEY, grams=1, timestamp=1)
    envelope = Envelope.from_outside(message, message.topic, PARTITION, time=1, source="/parcel")
    envelope = structs.replace(envelope, cause=f"courier.events-{PARTITION}-7", key_version=version)
    raw = Raw(message.topic, PARTITION, 9, KEY.encode(), CODEC.encode(message), headers_of(envelope), 1)
    return raw._replace(**change)  # type: ignore[arg-type]


def header(name: str, value: bytes | None) -> Headers:
    """The event's headers, with this value under this name only: not under the old or the new one besides."""
    others = [(n, v) for n, v in event().headers if n.removeprefix("ce_") != name.removeprefix("ce_")]
    return others + ([] if value is None else [(name, value)])


def read(raw: Raw, folded: int = 2) -> Envelope:
    return next_event(raw, CODEC, partitions, lambda key: folded)


def test_the_next_event_of_its_key_is_folded() -> None:
    assert read(event()).message == ParcelWeighed(parcel_id=KEY, grams=1, timestamp=1)


ELSEWHERE = (PARTITION + 1) % 6
FOREIGN: dict[str, Raw] = {
    "no key version": event(headers=header("keyversion", None)),
    "no cause": event(headers=header("cause", None)),
    "a key version of 5,000 digits": event(headers=header("keyversion", b"9" * 5_000)),
    "a key version in other digits": event(headers=header("keyversion", "३".encode())),
    "a new name's key version of 5,000 digits": event(headers=header("ce_keyversion", b"9" * 5_000)),
    "a new name's cause that is none": event(headers=header("ce_cause", b"courier.events")),
    "a later version": event(version=99),
    "a version that is folded": event(version=2),
    "a cause that is none": event(headers=header("cause", b"courier.events")),
    "a cause in another partition": event(headers=header("cause", f"courier.events-{ELSEWHERE}-1".encode())),
    "a cause of 5,000 digits": event(headers=header("cause", b"a-1-" + b"1" * 5_000)),
    "another partition": event(partition=ELSEWHERE),
    "no record's key": event(key=None),
    "a key that is no text": event(key=b"\xff\xff", partition=partitions(b"\xff\xff")),
    "a key that is too long": event(key=b"k" * 1_001, partition=partitions(b"k" * 1_001)),
    "a key that is not its body's": event(key=b"o2", partition=partitions(b"o2")),
    "an event of another log": event(value=CODEC.encode(CourierNoted(parcel_id=KEY, note="x"))),
    "a type that is not its body's": event(headers=header("ce_type", b"ParcelSent")),
    "headers that the client cannot hand out": event(flaw="the name of a header is not UTF-8"),
}


@pytest.mark.parametrize("raw", FOREIGN.values(), ids=FOREIGN)
def test_what_its_leader_cannot_have_written_is_foreign(raw: Raw) -> None:
    if raw.key != KEY.encode():  # nothing else is to be wrong with it
        raw = raw._replace(headers=header("cause", f"courier.events-{raw.partition}-1".encode()))
    with pytest.raises(Foreign):
        read(raw)


BROKEN = {"unknown id": b"\0\0\x0f\x42\x40x", "no Avro": b"nonsense", "none": None, "cut": b"\0\0\0\0"}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_what_may_be_real_but_cannot_be_read_is_doubtful(value: bytes | None) -> None:
    with pytest.raises(Doubtful) as doubtful:
        read(event(value=value))
    assert isinstance(doubtful.value, Newer) == (value == BROKEN["unknown id"])
    with pytest.raises(Foreign):
        read(event(value=value), folded=1)


@given(
    name=st.sampled_from(
        ["keyversion", "ce_keyversion", "cause", "ce_cause", "ce_type", "ce_id", "ce_time", "correlationid"]
    ),
    value=st.binary(max_size=300),
    key=st.none() | st.binary(max_size=50),
    body=st.none() | st.binary(max_size=50),
)
def test_whatever_a_record_holds_there_are_three_answers(
    name: str, value: bytes, key: bytes | None, body: bytes | None
) -> None:
    raw = event(headers=header(name, value), key=key, value=body)
    if key is not None:
        raw = raw._replace(partition=partitions(key))
    for found in (raw, event(headers=header(name, value))):
        with contextlib.suppress(Foreign, Doubtful):
            assert read(found).message.key == (found.key or b"").decode()


def waiting(**change: str) -> Raw:
    raw = Raw("courier.events", PARTITION, 5, KEY.encode(), b"x", [], 0)
    parked = Parked(raw, "parcel.events", KEY, 1, State.WAITING, 1, 5, 5)
    headers: Headers = [
        (n, change.get(n.removeprefix(RETRY), (v or b"").decode()).encode()) for n, v in parked.headers()
    ]
    return Raw("parcel.retry", PARTITION, 1, raw.coordinates.encode(), b"x", headers, 0)


def test_a_message_that_waits_is_read_back() -> None:
    assert parked_message(waiting(), partitions, "parcel.events".__eq__).key == KEY


def test_what_newer_code_may_have_parked_is_doubtful() -> None:
    with pytest.raises(Doubtful, match="format 2, this code reads up to format 1"):
        parked_message(waiting(format="2", state="ASLEEP"), partitions, "parcel.events".__eq__)


def batch(tmp_path: Path, evolve: Callable[[Parcel, ParcelSent], Parcel] | None = None) -> FoldBatch:
    parcels = replace(decider, evolve=evolve) if evolve else decider
    store = Store(tmp_path / "state.sqlite", [parcels], retry="parcel.retry")
    return FoldBatch(store, CODEC, "parcel", partitions)


def test_newer_records_of_a_watched_service_stop_nothing_here(tmp_path: Path) -> None:
    raw = waiting(format="2")
    with pytest.raises(Newer):
        batch(tmp_path).take(raw)
    with pytest.raises(Foreign, match="format 2"):
        batch(tmp_path).take(raw._replace(topic="courier.retry"))


def test_an_event_that_the_rules_here_cannot_fold_may_be_of_newer_code(tmp_path: Path) -> None:
    def of_yesterday(parcel: Parcel, event: ParcelSent) -> Parcel:
        raise AssertionError(event)

    with pytest.raises(Newer, match="ParcelWeighed cannot be folded"):
        batch(tmp_path, of_yesterday).take(event(version=1))


def test_records_from_before_formats_were_numbered_are_read() -> None:
    raw = waiting()
    raw = raw._replace(headers=[(n, v) for n, v in raw.headers if n != f"{RETRY}format"])
    assert parked_message(raw, partitions, "parcel.events".__eq__).key == KEY


def test_a_retry_record_that_says_more_is_of_a_new_format() -> None:
    """Raise FORMAT with each state, or header that older code must not miss; then change this."""
    headers = {name.removeprefix(RETRY) for name, _ in waiting().headers if name.startswith(RETRY)}
    states = "WAITING DEAD REDRIVEN RESOLVED DISCARDED BURIED"
    says = "format log key sequence state attempt due since called events"
    assert (FORMAT, " ".join(State), headers) == (1, states, set(says.split()))


@pytest.mark.parametrize(
    "raw",
    [
        waiting(format="2")._replace(key=b"no coordinates"),
        waiting(format="2")._replace(partition=ELSEWHERE),
        waiting(format="two"),
        waiting(due="9" * 30),
        waiting(due="9" * 18),
        waiting(since="-1"),
        waiting(sequence="1_0"),
        waiting(log="nobody.events"),
        waiting(key="o2"),
        waiting(state="ASLEEP"),
        waiting()._replace(key=b"courier.events-0-1"),
        waiting()._replace(partition=ELSEWHERE),
        waiting()._replace(headers=[]),
        waiting()._replace(flaw="unreadable"),
    ],
)
def test_a_record_of_a_retry_topic_that_its_leader_cannot_have_written_is_foreign(raw: Raw) -> None:
    with pytest.raises(Foreign):
        parked_message(raw, partitions, "parcel.events".__eq__)
