"""How large records may be: measured with key and headers, before the transaction; dead letters hold what fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eventbus import Message, Poison
from eventbus.codec import Codec
from eventbus.model.limits import MAX_LETTER
from eventbus.model.record import Headers, Raw
from eventbus.processing.outgoing import dead_letter
from eventbus.retry.parked import ERRORS, Parked
from parcels.messages import CourierNoted, ParcelWeighed, SendParcel
from testbed.bench import DLQ, REACTOR, Bench, sent, weighed

PARCEL = SendParcel(parcel_id="p1", sender="anne")


@pytest.mark.parametrize(
    ("key", "value", "header"),
    [
        (b"k", 12_000_000, 0),
        (b"k" * 9_000_000, 5, 0),
        (b"k", 5, 9_000_000),
        (b"k" * 5_000_000, 6_000_000, 3_000_000),
    ],
)
def test_a_dead_letter_that_does_not_fit_keeps_what_does(
    tmp_path: Path, key: bytes, value: int, header: int
) -> None:
    raw = Raw("parcel.events", 0, 7, key, b"v" * value, [("h", b"h" * header)], 1)
    written = dead_letter(Bench(tmp_path).context, Parked.rejected(raw, Poison("too large"), 1))

    assert written.size < MAX_LETTER + 20_000
    assert key.startswith(written.key or b"-") and raw.value and raw.value.startswith(written.value or b"-")
    headers = dict(written.headers)
    assert headers[f"{ERRORS}offset"] == b"7"
    assert str(raw.size).encode() in (headers[f"{ERRORS}truncated"] or b"")
    assert ("h" in headers) == (header <= MAX_LETTER // 2)


def test_a_dead_letter_that_fits_is_whole(tmp_path: Path) -> None:
    raw = Raw("parcel.events", 0, 7, b"k", b"v" * 1_000_000, [("h", b"h")], 1)
    written = dead_letter(Bench(tmp_path).context, Parked.rejected(raw, Poison("x"), 1))
    assert (written.key, written.value) == (raw.key, raw.value)
    assert f"{ERRORS}truncated" not in dict(written.headers)


def test_an_output_counts_with_its_key_and_headers(tmp_path: Path) -> None:
    def decide(message: object, life: object) -> list[Message]:
        assert isinstance(message, ParcelWeighed)
        return [CourierNoted(parcel_id=message.parcel_id, note="r" * message.grams)]

    bench = Bench(tmp_path, replace(REACTOR, decide=decide))  # 10,000 bytes are allowed
    bench.feed(weighed("a", 9_000), weighed("b", 9_990))

    assert len(bench.story("a")) == 1
    (dead,) = bench.topic(DLQ)
    assert dead.key == b"b"
    assert "EVENTBUS_MAX_EVENT_BYTES" in (dead.header(f"{ERRORS}message") or "")


def test_a_key_that_is_too_long_is_poison_on_the_way_in_and_on_the_way_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(sent("k" * 1_001))
    (dead,) = bench.topic(DLQ)
    assert "more than 1000" in (dead.header(f"{ERRORS}message") or "")


def test_an_input_that_could_not_wait_is_a_dead_letter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    large = bench.raw(sent("a"))
    bench.read([large._replace(headers=[*large.headers, ("x", b"x" * 5_000_000)])])
    (dead,) = bench.topic(DLQ)
    assert "EVENTBUS_MAX_INPUT_BYTES" in (dead.header(f"{ERRORS}message") or "")
    assert bench.waits("a") == []


def raw(headers: Headers) -> Raw:
    return Raw("parcel.commands", 0, 7, b"p1", Codec("parcels").encode(PARCEL), headers, 5)


@pytest.mark.parametrize("name", ["correlationid", "ce_correlationid", "traceparent", "ce_id"])
@pytest.mark.parametrize("letter", ["c", "é"])
@pytest.mark.parametrize(("count", "kept"), [(200, True), (201, False)])
def test_a_header_that_is_copied_on_has_at_most_200_characters(
    name: str, letter: str, count: int, kept: bool
) -> None:
    text = letter * count
    envelope = Codec("parcels").decode(raw([(name, text.encode())]))
    copied = {
        "correlationid": envelope.correlation_id,
        "ce_correlationid": envelope.correlation_id,
        "traceparent": envelope.traceparent,
        "ce_id": envelope.id,
    }
    assert (copied[name] == text) is kept


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "9" * 200, "9999-12-31T23:59:59-23:59", "-1", "NaN"])
def test_a_time_that_is_none_counts_as_absent(time: str) -> None:
    envelope = Codec("parcels").decode(raw([("ce_time", time.encode())]))
    assert envelope.time == 5
