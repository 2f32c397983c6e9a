"""``eventbus send``: a command from JSON, by its schema; what is wrong is named, and nothing of it is sent."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.json_fields import WrongJson, record_of_json
from eventbus.cli.send import command_class, command_of, envelope_of, texts
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.record import Raw
from parcels.messages import Content, Insurance, RecallParcel, SendParcel

CODEC = Codec("parcels")
WHOLE = {
    "parcelId": "p1",
    "sender": "anne",
    "contents": [{"article": "cup", "pieces": 2}],
    "insured": {"amount": 250, "currency": "GBP"},
}


def command(fields: Mapping[str, Any]) -> Any:
    return command_of(CODEC, SendParcel, "--json", json.dumps(fields))


def test_a_command_is_made_by_its_schema_and_defaults_are_filled_in() -> None:
    assert command(WHOLE) == SendParcel(
        parcel_id="p1",
        sender="anne",
        contents=(Content(article="cup", pieces=2),),
        insured=Insurance(amount=250, currency="GBP"),
    )
    assert command({"parcelId": "p1", "sender": "anne"}) == SendParcel(parcel_id="p1", sender="anne")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parcelID": "p2"}, "SendParcel.parcelID is no field of it: did you mean parcelId?"),
        ({"zzz": 1}, "SendParcel.zzz is no field of it: there are parcelId, sender, article"),
        ({"sender": 5}, "SendParcel.sender must be a string, not 5"),
        ({"sender": None}, "SendParcel.sender must be a string, not None"),
        ({"contents": {}}, "SendParcel.contents must be a list, not {}"),
        ({"contents": [WHOLE]}, "SendParcel.contents[0].article is missing"),
        (
            {"contents": [{"article": "cup", "pieces": "2"}]},
            "SendParcel.contents[0].pieces must be a whole number",
        ),
        (
            {"contents": [{"article": "cup", "pieces": 2.0}]},
            "pieces must be a whole number of 32 bits, not 2.0",
        ),
        (
            {"contents": [{"article": "cup", "pieces": True}]},
            "pieces must be a whole number of 32 bits, not True",
        ),
        ({"contents": [{"article": "cup", "pieces": 2**31}]}, "pieces must be a whole number of 32 bits"),
        (
            {"insured": {"amount": 2**63, "currency": "GBP"}},
            "insured.amount must be a whole number of 64 bits",
        ),
        ({"insured": {"amount": 1}}, "SendParcel.insured.currency is missing"),
        ({"insured": "much"}, "SendParcel.insured must be an object, not 'much'"),
        ({"article": {"string": "cup"}}, "SendParcel.article must be a string"),
        ({"timestamp": "2026-05-04T10:00"}, "SendParcel.timestamp must be a whole number of 64 bits"),
        ({"parcelId": "\ud800"}, "does not fit its schema"),
        ({"parcelId": ""}, "the key has 0 characters"),
        ({"parcelId": "x" * 1001}, "the key has 1001 characters"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError) as refused:
        command({**WHOLE, **change})
    assert words in str(refused.value) and str(refused.value).startswith("--json: ")
    assert refused.value.code == Exit.USAGE


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(CommandError) as refused:
        command({"sendr": "anne", "contents": [7]})
    said = str(refused.value)
    assert "parcelId is missing" in said and "sendr is no field" in said and "contents[0] must be" in said


@pytest.mark.parametrize("text", ["", "{", '{"parcelId": "p1"} x', "[" * 100_000, "9" * 5_000, "nul"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"is not JSON|must be an object"):
        command_of(CODEC, SendParcel, "--json", text)


@pytest.mark.parametrize("text", ["[]", "7", "null", '"p1"', "NaN"])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="SendParcel must be an object"):
        command_of(CODEC, SendParcel, "--json", text)


def test_a_type_that_json_cannot_say_is_refused_by_name() -> None:
    fields = [{"name": "photo", "type": "bytes"}, {"name": "size", "type": ["int", "string"]}]
    schema = {"type": "record", "name": "x.Y", "fields": fields}
    with pytest.raises(
        WrongJson, match=r"Y\.photo cannot be given as JSON, its type is bytes; Y\.size cannot"
    ):
        record_of_json(schema, {"photo": "", "size": 1})


def test_a_record_that_is_named_twice_is_read_the_same_in_both_places() -> None:
    item = {"type": "record", "name": "x.Item", "fields": [{"name": "id", "type": "string"}]}
    both = [{"name": "one", "type": item}, {"name": "other", "type": ["null", "x.Item"]}]
    schema = {"type": "record", "name": "x.Y", "fields": both}
    value = {"one": {"id": "a"}, "other": {"id": "b"}}
    assert record_of_json(schema, value) == value
    with pytest.raises(WrongJson, match=r"Y\.other\.id must be a string"):
        record_of_json(schema, {"one": {"id": "a"}, "other": {"id": 1}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WHOLE, "article", "pieces", "amount", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_comes_it_is_a_command_that_services_read_or_it_is_refused(value: Any) -> None:
    try:
        made = command_of(CODEC, SendParcel, "--json", json.dumps(value))
    except CommandError:
        return
    assert CODEC.decode_value(CODEC.encode(made)) == made


def test_what_is_sent_has_the_partition_of_its_key_and_is_read_back_by_a_service() -> None:
    envelope = envelope_of(command(WHOLE), 6, "/warehouse")
    assert envelope.partition == partition_of(b"p1", 6) and envelope.topic == "parcel.commands"
    raw = Raw(
        envelope.topic,
        envelope.partition,
        0,
        envelope.message.key.encode(),
        CODEC.encode(envelope.message),
        headers_of(envelope),
        envelope.time,
    )
    read = CODEC.decode(raw)
    assert (read.message, read.source, read.id) == (envelope.message, "/warehouse", envelope.id)
    assert read.message.timestamp == envelope.time  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ParcelSent", "is an event: only the service that owns parcel.events writes it"),
        ("SendParcl", "has a command SendParcl. Did you mean SendParcel?"),
        ("Zzz", "There are RecallParcel, SendParcel."),
        ("Redrive", "has a command Redrive"),
        ("Skip", "has a command Skip"),
    ],
)
def test_only_commands_of_the_schema_packages_are_sent(name: str, words: str) -> None:
    with pytest.raises(CommandError) as refused:
        command_class(CODEC, name)
    assert words in str(refused.value)
    assert command_class(CODEC, "RecallParcel") is RecallParcel


def test_lines_come_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "commands.jsonl"
    file.write_bytes(b'{"a": 1}\r\n\n  {"b": "\xe2\x80\xa8"}\n')
    places = [(f"{file}, line 1", '{"a": 1}\r'), (f"{file}, line 3", '  {"b": "\u2028"}')]
    assert list(texts(f"@{file}")) == places
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n{}")))
    assert list(texts(None)) == [("standard input, line 1", "{}"), ("standard input, line 2", "{}")]
    assert list(texts('{\n"a": 1}')) == [("--json", '{\n"a": 1}')]

    file.write_bytes(b"\xff")
    for wrong in (f"@{file}", f"@{tmp_path / 'absent'}", f"@{tmp_path}"):
        with pytest.raises(CommandError, match="cannot be read"):
            list(texts(wrong))
