"""What is wrong with a schema file is said with the field, before anything is made from it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.schema_form import flaws

ITEM = {
    "type": "record",
    "name": "Item",
    "doc": "An item.",
    "fields": [{"name": "count", "type": "int", "doc": "How many."}],
}
GOOD: dict[str, Any] = {
    "type": "record",
    "name": "ThingMade",
    "doc": "A thing was made.",
    "topic": "thing.events",
    "key": "thingId",
    "kind": "event",
    "fields": [
        {"name": "thingId", "type": "string", "doc": "The key."},
        {
            "name": "at",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "default": 0,
            "doc": "When.",
        },
        {"name": "maybe", "type": ["null", "boolean"], "default": None, "doc": "Whether."},
        {
            "name": "items",
            "type": {"type": "array", "items": ITEM},
            "default": [{"count": 1}],
            "doc": "What.",
        },
        {"name": "first", "type": {"type": "int"}, "default": -(2**31), "doc": "Which."},
    ],
}


def test_what_messages_use_is_no_flaw() -> None:
    assert flaws(GOOD) == []


def field(type_: Any, **more: Any) -> dict[str, Any]:
    return {"name": "extra", "type": type_, "doc": "More.", **more}


KINDS = "give string, int, long, boolean, an array, a record, a timestamp-millis, or"


@pytest.mark.parametrize(
    ("added", "flaw"),
    [
        (field("int", default="1"), "extra: the default '1' is no int"),
        (field("int", default=True), "extra: the default True is no int"),
        (field("int", default=1.0), "extra: the default 1.0 is no int"),
        (field("int", default=2**31), f"extra: the default {2**31} is no int"),
        (field("long", default=2**63), f"extra: the default {2**63} is no long"),
        (field("boolean", default=0), "extra: the default 0 is no boolean"),
        (field("string", default=None), "extra: the default None is no string"),
        (field(["null", "string"], default=""), "extra: the default '' is no null, the first type of the union"),
        (field({"type": "array", "items": "int"}, default=[1, "x"]), "extra: the default [1, 'x'] is no array"),
        (field({**ITEM, "name": "Other"}, default={}), "extra: the default {} is no record"),
        (field({**ITEM, "name": "Other"}, default={"count": 1, "x": 1}), "extra: the default {'count': 1, 'x'"),
        (field("double"), f"extra: the type 'double' is none that messages have: {KINDS}"),
        (field("Item"), f"extra: the type 'Item' is none that messages have: {KINDS}"),
        (field(["string", "null"]), "extra: the type ['string', 'null'] is none that messages have"),
        (field(["null", "string", "int"]), "extra: the type ['null', 'string', 'int'] is none that messages have"),
        (field([]), "extra: the type [] is none that messages have"),
        (field(None), "extra: the type None is none that messages have"),
        (field({"type": "bytes", "logicalType": "decimal"}), "extra: the type {'type': 'bytes'"),
        (field({"type": "array", "items": ["null", "text"]}), "extra[]: the type 'text' is none that messages have"),
        (field({**ITEM, "name": "Other", "fields": []}), "extra: fields must be a list of fields"),
        (field({**ITEM, "name": "Other", "fields": [{"name": "n", "type": "x"}]}), "extra.n: the type 'x' is none"),
        (field(ITEM), "the record Item is defined twice: give one of them another name"),
        (field({**ITEM, "name": "Event"}), "extra: the name of a record is 'Event': give one such as OrderCreated"),
        (field({**ITEM, "name": "None"}), "extra: the name of a record is 'None': give one such as OrderCreated"),
        ({"name": "extra", "type": "string"}, "extra: the field has no doc"),
        ({"name": "extra_one", "type": "string", "doc": "More."}, "the name of a field is 'extra_one'"),
        ({"name": "from", "type": "string", "doc": "More."}, "the name of a field is 'from'"),
        ({"name": "thingId", "type": "string", "doc": "More."}, "thingId: there are 2 fields of this name"),
        ({"name": "topic", "type": "string", "doc": "More."}, "topic: a message has this name already"),
        ({"name": "key", "type": "string", "doc": "More."}, "key: a message has this name already"),
        ("extra", "the message: fields must be a list of fields"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(added: Any, flaw: str) -> None:
    record = deepcopy(GOOD)
    record["fields"].append(added)
    assert any(flaw in one for one in flaws(record)), flaws(record)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"kind": "query"}, "kind is 'query': give command or event"),
        ({"key": "orderId"}, "key is 'orderId': name a field of the type string"),
        ({"key": "first"}, "key is 'first': name a field of the type string"),
        ({"fields": {}}, "the message: fields must be a list of fields"),
        ({"fields": None}, "the message: fields must be a list of fields"),
        ({"name": "thingMade"}, "the name of a record is 'thingMade': give one such as OrderCreated"),
        ({"doc": ""}, "the message: the record has no doc"),
        ({"type": "enum"}, "it is no Avro record"),
    ],
)
def test_a_wrong_attribute_is_named(changes: dict[str, Any], flaw: str) -> None:
    assert any(flaw in one for one in flaws(GOOD | changes)), flaws(GOOD | changes)


def test_what_is_no_object_is_no_record() -> None:
    assert flaws([]) == flaws(None) == flaws("record") == ["it is no Avro record"]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["int", "record", "array", "Item", "thingId", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "items", "fields", "default", "doc"]), inner, max_size=5
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from([*GOOD, "new"]), anything, st.booleans())
def test_whatever_a_file_holds_its_flaws_are_said_and_nothing_is_raised(
    name: str, value: Any, in_a_field: bool
) -> None:
    record = deepcopy(GOOD)
    if in_a_field:
        record["fields"][-1][name] = value
    else:
        record[name] = value
    assert all(isinstance(flaw, str) for flaw in flaws(record))
