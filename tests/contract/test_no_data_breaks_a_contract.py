"""Whatever a message may hold: each version is read by today's code, and an incompatible schema is always found.

The oracle is fastavro's own resolution of data, which knows nothing of the rules that are tested.
"""

from __future__ import annotations

import copy
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventbus.codec import Codec
from eventbus.model.versions import Version
from tests.support.avro_values import KEY, message, records, values
from tools.avro_rules import version_conflicts
from tools.pin_schemas import encode
from tools.schema_folders import SchemaFile, folders
from tools.schema_form import flaws

FOLDERS = folders()
CODEC = Codec(*(folder.name for folder in FOLDERS))
FILES = [
    pytest.param(file, folder.load("ids")[file.id], id=file.id)
    for folder in FOLDERS
    for file in folder.files()
]


@pytest.mark.parametrize(("file", "schema_id"), FILES)
@given(data=st.data())
@settings(max_examples=20)
def test_what_is_written_with_any_version_is_read_with_today_s_code(
    file: SchemaFile, schema_id: int, data: st.DataObject
) -> None:
    record = data.draw(values(file.record))
    read: Any = CODEC.decode_value(struct.pack(">bI", 0, schema_id) + encode(file, record))
    assert read.key == record[file.record["key"]]
    now = CODEC.record_of(read)
    assert all(holds(now[name], value) for name, value in record.items() if name in now)
    value = CODEC.encode(read)
    assert CODEC.decode_value(value) == CODEC.as_read(read, value)


def holds(now: Any, value: Any) -> bool:
    """Whether a value says all that it said; a record in it may have new fields."""
    if isinstance(value, dict) and isinstance(now, dict):
        return all(holds(now[name], inner) for name, inner in value.items())
    if isinstance(value, list) and isinstance(now, list | tuple):
        return len(now) == len(value) and all(map(holds, now, value))
    return bool(now == value)


def places(record: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each field of a schema but its key: the record that it stands in, and its index."""
    for index, field in enumerate(record["fields"]):
        if field["name"] != KEY["name"]:
            yield record, index
        inner = field["type"][1] if isinstance(field["type"], list) else field["type"]
        inner = inner["items"] if isinstance(inner, dict) and inner["type"] == "array" else inner
        if isinstance(inner, dict):
            yield from places(inner)


MUTATIONS = ("no default", "other name", "other type", "no field", "new field", "null no more", "null too")


def mutated(data: st.DataObject, old: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """A schema with one thing changed, what was changed, and the field."""
    new = copy.deepcopy(old)
    record, index = data.draw(st.sampled_from(list(places(new))))
    field, what = record["fields"][index], data.draw(st.sampled_from(MUTATIONS))
    name = field["name"]
    match what:
        case "no default":
            field.pop("default", None)
        case "other name":
            field["name"] = "epsilon"
        case "other type":
            field["type"] = data.draw(st.sampled_from(["string", "int", "long", "boolean"]))
            field.pop("default", None)
        case "no field":
            del record["fields"][index]
        case "new field":
            name = "epsilon"
            default = data.draw(st.sampled_from([{}, {"default": "x"}]))
            record["fields"].append({"name": name, "type": "string", "doc": "New.", **default})
        case "null no more" if isinstance(field["type"], list):
            field["type"] = field["type"][1]
            field.pop("default", None)
        case "null too" if not isinstance(field["type"], list):
            field["type"] = ["null", field["type"]]
            field.pop("default", None)
    return new, what, name


def readable(writer: dict[str, Any], reader: dict[str, Any], written: list[Any]) -> bool:
    """Whether fastavro reads all of it."""
    parsed: list[Any] = [fastavro.parse_schema(schema, named_schemas={}) for schema in (writer, reader)]
    for record in written:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed[0], record, strict=True)
        body.seek(0)
        try:
            fastavro.schemaless_reader(body, parsed[0], parsed[1])
        except fastavro.read.SchemaResolutionError:
            return False
    return True


@given(st.data())
@settings(max_examples=300)
def test_a_mutation_that_avro_cannot_read_is_always_found_and_its_field_is_named(data: st.DataObject) -> None:
    old = message(data.draw(records()))
    assert flaws(old) == []
    new, what, name = mutated(data, old)
    files = [
        SchemaFile(Path("Thing.v1.avsc"), Version("Thing", 1), old),
        SchemaFile(Path("Thing.v1.1.avsc"), Version("Thing", 1, 1), new),
    ]
    found = version_conflicts(files)
    forth = readable(old, new, data.draw(st.lists(values(old), min_size=3, max_size=5)))
    back = readable(new, old, data.draw(st.lists(values(new), min_size=3, max_size=5)))
    event(f"{what}: {'read' if forth and back else 'not read'}, {'found' if found else 'not found'}")
    if not forth:
        assert any(line.startswith("Thing.v1.1 cannot read Thing.v1: ") for line in found)
    if not back:
        assert any(line.startswith("Thing.v1 cannot read Thing.v1.1, ") for line in found)
    if not (forth and back):
        assert any(name in line or "epsilon" in line for line in found)
    major = [files[0], files[1]._replace(version=Version("Thing", 2))]
    assert bool(version_conflicts(major)) == any(line.startswith("Thing.v1.1 cannot") for line in found)
