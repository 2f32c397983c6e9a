"""The rules of schema resolution agree with what Avro does to data."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from tools.avro_rules import conflicts


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(type_: Any, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


INNER = record(field("int", "n"), name="Inner")
WIDER = record(field("long", "n"), field("string", "m", default=""), name="Inner")
NARROW = record(field("string", "n"), name="Inner")

READABLE = [
    ("int", "long", 7),
    ("long", "long", 7),
    ("string", ["null", "string"], "x"),
    (["null", "string"], ["null", "string"], None),
    (["int", "string"], ["null", "string", "long"], 7),
    ({"type": "array", "items": INNER}, {"type": "array", "items": WIDER}, [{"n": 1}]),
    (["null", INNER], ["null", WIDER], {"n": 1}),
]
UNREADABLE = [
    ("long", "int", 7),
    ("string", "long", "x"),
    ("int", ["null", "string"], 7),
    (["null", "string"], "string", None),
    (["null", "int"], ["null", "string"], 7),
    ({"type": "array", "items": INNER}, {"type": "array", "items": NARROW}, [{"n": 1}]),
    (["null", INNER], ["null", NARROW], {"n": 1}),
    ("string", {"type": "array", "items": "string"}, "x"),
]


def resolve(writer: Any, reader: Any, value: Any) -> Any:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(writer), value)
    body.seek(0)
    return fastavro.schemaless_reader(body, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


@pytest.mark.parametrize(("writer", "reader", "value"), READABLE)
def test_what_the_rules_allow_can_be_read(writer: Any, reader: Any, value: Any) -> None:
    old, new = record(field(writer)), record(field(reader))
    assert conflicts(old, new) == []
    resolve(old, new, {"a": value})


@pytest.mark.parametrize(("writer", "reader", "value"), UNREADABLE)
def test_what_the_rules_forbid_fails_on_some_data(writer: Any, reader: Any, value: Any) -> None:
    old, new = record(field(writer)), record(field(reader))
    assert conflicts(old, new) != []
    with pytest.raises(fastavro.read.SchemaResolutionError):
        resolve(old, new, {"a": value})


def test_a_new_field_needs_a_default() -> None:
    old = record(field("int"))
    assert conflicts(old, record(field("int"), field("int", "b"))) == [
        "b: not written, and the reader has no default"
    ]
    assert conflicts(old, record(field("int"), field("int", "b", default=0))) == []


def test_a_field_may_be_dropped_but_a_record_not_renamed() -> None:
    old = record(field("int"), field("int", "b"))
    assert conflicts(old, record(field("int"))) == []
    assert conflicts(old, record(field("int"), name="S")) == [": written as record R, wanted as record S"]


def test_the_place_of_a_conflict_is_named() -> None:
    old = record(field({"type": "array", "items": INNER}, "items"))
    new = record(field({"type": "array", "items": NARROW}, "items"))
    assert conflicts(old, new) == ["items[].n: written as int, wanted as string"]


def test_a_kind_of_type_without_a_rule_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(ValueError, match="no rule for the Avro type 'Item'"):
        conflicts(record(field("Item")), record(field("Item")))
