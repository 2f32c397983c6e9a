"""The dead letter index folds retry and dead letter topics; filters choose keys; what is printed is complete."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from eventbus.cli.details import message_details
from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.execution import DryRunClient
from eventbus.cli.index import DeadLetterIndex, Filters, age, instant, why_not_redrivable
from eventbus.cli.options import addresses, filters
from eventbus.cli.printing import list_table, listing, print_report
from eventbus.cli.result import BUSY, DONE, KeyResult, Report, Row
from eventbus.codec import Codec
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import Effect
from parcels.messages import RecallParcel

NOW = 1_800_000_000_000
CODEC = Codec("parcels")


def parked(key: str, offset: int, state: State = State.DEAD, **fields: object) -> Parked:
    value = CODEC.encode(RecallParcel(parcel_id=key, reason="no", timestamp=1))
    headers: Headers = [("ce_type", b"RecallParcel"), ("correlationid", b"c1"), ("traceparent", b"00-1")]
    raw = Raw("parcel.commands", 0, offset, key.encode(), value, headers, NOW - 70_000)
    waits = Parked(raw, "parcel.events", key, offset, state, 3, 0, NOW - 60_000, "ZeroDivisionError", "a bug")
    return replace(waits, **fields)  # type: ignore[arg-type]


def retry(waits: Parked, at: int, service: str = "parcel") -> Raw:
    return Raw(
        f"{service}.retry", 0, at, waits.raw.coordinates.encode(), waits.raw.value, waits.headers(), NOW
    )


def dead_letter(waits: Parked, at: int, service: str = "parcel") -> Raw:
    headers = waits.dead_letter_headers(service, "1", NOW)
    return Raw(f"{service}.dlq", 0, at, waits.raw.key, waits.raw.value, headers, NOW)


@pytest.fixture
def index() -> DeadLetterIndex:
    """Parcel: a is dead, with two behind it; b waits; x is no message. Courier: a is resolved."""
    index = DeadLetterIndex(CODEC.name_of, keep="a")
    behind = {"exception": "", "message": "", "attempt": 0}
    records = [
        retry(parked("a", 1, State.WAITING, attempt=1), 0),
        retry(parked("a", 3, State.WAITING, **behind), 1),
        retry(parked("a", 2, State.WAITING, **behind), 2),
        retry(parked("a", 1), 3),
        dead_letter(parked("a", 1), 0),
        retry(parked("b", 4, State.WAITING, exception="TimeoutError", since=NOW - 1_000, due=NOW + 5_000), 4),
        retry(parked("a", 9, State.RESOLVED, events=("ParcelWeighed",)), 0, "courier"),
        dead_letter(parked("x", 7, exception="Poison", message="not Avro"), 1),
        Raw("parcel.retry", 0, 9, b"k", b"v", [], NOW),
        Raw("parcel.dlq", 0, 9, b"k", b"v", [("__eventbus.errors.topic", b"t")], NOW),
    ]
    for record in records:
        index.fold(record)
    return index


def chosen(index: DeadLetterIndex, **wanted: object) -> list[str]:
    return [q.key for q in index.matching(Filters(**wanted))]  # type: ignore[arg-type]


def test_the_latest_record_counts_and_a_key_has_its_messages_in_order(index: DeadLetterIndex) -> None:
    first, second = index.parked_keys()
    assert (first.service, first.log, first.key) == ("parcel", "parcel.events", "a")
    assert [(i.parked.raw.offset, i.state) for i in first.items] == [
        (1, "DEAD"),
        (2, "WAITING"),
        (3, "WAITING"),
    ]
    assert second.key == "b"


def test_filters_choose_whole_keys(index: DeadLetterIndex) -> None:
    assert chosen(index) == ["a", "b"]
    assert chosen(index, keys=("b", "c")) == ["b"]
    assert chosen(index, error="zerodivision") == ["a"]
    assert chosen(index, error="A BUG") == ["a", "b"]
    assert chosen(index, type="recallparcel") == ["a", "b"]
    assert chosen(index, type="SendParcel") == []
    assert chosen(index, since=NOW - 2_000) == ["b"]
    assert chosen(index, until=NOW - 2_000) == ["a"]
    assert chosen(index, state="WAITING") == ["a", "b"]
    assert chosen(index, state="WAITING", error="bug") == ["b"]
    assert len(index.matching(Filters(state="DEAD"))[0].items) == 3


def test_a_dead_letter_without_a_retry_record_is_buried_and_settled_messages_are_listed_only_if_asked_for(
    index: DeadLetterIndex,
) -> None:
    assert [(i.state, i.parked.key) for i in index.not_parked(Filters())] == [("BURIED", "x")]
    assert index.not_parked(Filters(error="bug")) == []
    assert [(i.service, i.parked.events) for i in index.not_parked(Filters(state="RESOLVED"))] == [
        ("courier", ("ParcelWeighed",))
    ]
    assert [q.key for q in index.matching(Filters(state="BURIED"))] == []


def test_only_a_dead_head_can_be_redriven(index: DeadLetterIndex) -> None:
    dead, waiting = index.parked_keys()
    assert why_not_redrivable(dead, NOW) == ""
    assert why_not_redrivable(waiting, NOW) == "busy: it waits for its next try, in 5 s, by itself"
    index.fold(retry(parked("b", 4, State.REDRIVEN), 5))
    assert why_not_redrivable(index.matching(Filters(keys=("b",)))[0], NOW).startswith(
        "busy: it was redriven"
    )


def test_the_list_has_a_line_a_key_and_cuts_no_key(index: DeadLetterIndex) -> None:
    rows = listing(index.matching(Filters()), index.not_parked(Filters()))
    assert [(r["key"], r["state"], r["attempts"], r["behind"]) for r in rows] == [
        ("a", "DEAD", 3, 2),
        ("b", "WAITING", 3, 0),
        ("x", "BURIED", 3, 0),
    ]
    assert [r["redrivable"] for r in rows] == [True, False, False]
    out = Console(file=io.StringIO(), width=200)
    out.print(list_table(rows, NOW))
    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert printed.splitlines()[0].split() == [
        "service",
        "key",
        "type",
        "state",
        "attempts",
        "since",
        "error",
        "behind",
    ]
    assert "1m" in printed and "ZeroDivisionError: a bug" in printed


def test_the_details_of_a_message_are_decoded_and_have_its_steps(index: DeadLetterIndex) -> None:
    details = next(message_details(index, CODEC, i) for i in index.about("a") if i.state == "DEAD")
    assert details["message"] == {"parcelId": "a", "reason": "no", "timestamp": 1}
    assert [(s["state"], s["attempts"]) for s in details["journey"]] == [
        ("WAITING", 1),
        ("DEAD", 3),
        ("LETTER", 3),
    ]
    assert (details["correlationId"], details["traceparent"]) == ("c1", "00-1")
    assert details["behind"] == ["RecallParcel parcel.commands-0-2", "RecallParcel parcel.commands-0-3"]
    assert {"name": "ce_type", "value": "RecallParcel"} in details["headers"]
    json.dumps(details)


def test_a_message_that_cannot_be_decoded_is_shown_as_bytes() -> None:
    index = DeadLetterIndex(CODEC.name_of, keep="parcel.commands-0-7")
    junk = parked("x", 7)
    junk = replace(junk, raw=junk.raw._replace(value=b"\x00junk!", key=b"\xff", headers=[("empty", None)]))
    index.fold(dead_letter(junk, 0))
    (item,) = index.about("parcel.commands-0-7")
    details = message_details(index, CODEC, item)
    assert (
        details["message"]["base64"] == "AGp1bmsh"
        and "unknown schema id" in details["message"]["undecodable"]
    )
    assert (details["key"], details["type"], details["headers"]) == (
        "\\xff",
        "",
        [{"name": "empty", "value": ""}],
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15m", NOW - 900_000),
        ("1d", NOW - 86_400_000),
        ("2027-01-15T08:00", NOW),
        ("2027-01-15T09:00+01:00", NOW),
        ("2027-01-15", NOW - 8 * 3_600_000),
    ],
)
def test_a_time_is_an_instant_or_an_age(text: str, expected: int) -> None:
    assert instant(text, NOW) == expected


def test_an_age_is_in_the_largest_unit_that_fits() -> None:
    ages = [age(NOW - seconds * 1000, NOW) for seconds in (-5, 0, 59, 60, 7_200, 86_400 * 400)]
    assert ages == ["0s", "0s", "59s", "1m", "2h", "400d"]


@pytest.mark.parametrize(
    "wrong", [{"since": "yesterday"}, {"until": "5 minutes"}, {"state": "BROKEN"}, {"since": ""}]
)
def test_an_invalid_filter_is_refused_in_one_sentence(wrong: dict[str, str]) -> None:
    options = dict.fromkeys(("keys", "type_", "error", "since", "until", "state"))
    with pytest.raises(CommandError) as refused:
        filters(**(options | wrong))
    assert refused.value.code is Exit.USAGE and "\n" not in str(refused.value)


def test_an_address_names_its_service() -> None:
    assert addresses(["order=http://o:1/"]) == {"order": "http://o:1"}
    assert addresses([]) == {}
    with pytest.raises(CommandError):
        addresses(["localhost:8000"])


def test_a_dry_run_without_an_address_of_the_service_says_how_to_give_one(index: DeadLetterIndex) -> None:
    [key, *_] = index.parked_keys()
    with pytest.raises(CommandError) as refused:
        DryRunClient({"courier": "http://127.0.0.1:1"}).result("redrive", key, None)
    assert refused.value.code is Exit.USAGE
    assert str(refused.value) == (
        "A dry run asks a replica of parcel: say where one is, with --url parcel=http://host:port, "
        "or in EVENTBUS_URLS."
    )


def test_counts_are_of_messages_and_leave_busy_keys_out(index: DeadLetterIndex) -> None:
    first, second = index.parked_keys()
    rows = tuple(
        Row(i.coordinates, i.type, v, i.state)
        for i, v in zip(first.items, (Effect.APPLIES, Effect.DUPLICATE, Effect.APPLIES), strict=True)
    )
    busy = KeyResult(second, BUSY, (Row("c", "t", Effect.STAYS, "DEAD"),), "a call is under way")
    report = Report("redrive", False, [KeyResult(first, DONE, rows), busy], [("parcel", "x", "buried")])
    assert report.counts() == {"applies": 2, "duplicate": 1}
    out = Console(file=io.StringIO(), width=200)
    print_report(out, report)
    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert "redrive: 2 keys; 2 applies, 1 duplicate" in printed
    assert "left out: parcel x: buried" in printed and "a call is under way" in printed
    assert Row.parse(rows[0].as_json()) == rows[0]
