"""What a schema file may hold: the part of Avro that the messages use, and what they add to it.

fastavro takes much that is no Avro (a record without fields, two fields of one name, a default of ``true`` for an
``int``). This says what is wrong with a file before anything is made from it.
Source: Avro 1.11 specification, "Schema Declaration".
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Any

from eventbus.model.messages import Message

RANGES = {"int": 2**31, "long": 2**63}
PYTHON = {"string": str, "int": int, "long": int, "boolean": bool}
NAME = re.compile(r"[a-z][A-Za-z0-9]*")
TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
KINDS = ("command", "event")
TAKEN = {name for name in (*vars(Message), *Message.__annotations__) if not name.startswith("_")}
"""What each message class has beside its fields."""
IMPORTED = {"Command", "Event", "Int32"}
"""What the module of the generated classes has beside them."""


def flaws(record: Any) -> list[str]:
    """What is wrong with the content of a schema file, each with the field; empty if nothing is."""
    if not isinstance(record, dict) or record.get("type") != "record":
        return ["it is no Avro record"]
    found = list(_record_flaws(record, ""))
    if record.get("kind") not in KINDS:
        found.append(f"kind is {record.get('kind')!r}: give {' or '.join(KINDS)}")
    types = {str(field.get("name")): field.get("type") for field in _fields(record)}
    if types.get(str(record.get("key"))) != "string":
        found.append(f"key is {record.get('key')!r}: name a field of the type string")
    found += [f"{name}: a message has this name already: give another" for name in types if name in TAKEN]
    names = list(_record_names(record))
    twice = sorted({name for name in names if names.count(name) > 1})
    return found + [f"the record {name} is defined twice: give one of them another name" for name in twice]


def _record_names(avro: Any) -> Iterator[str]:
    """The names of all records in a type, itself included."""
    if isinstance(avro, list):
        for branch in avro:
            yield from _record_names(branch)
    elif isinstance(avro, dict) and avro.get("type") == "array":
        yield from _record_names(avro.get("items"))
    elif isinstance(avro, dict) and avro.get("type") == "record":
        yield str(avro.get("name"))
        for field in _fields(avro):
            yield from _record_names(field.get("type"))


def _fields(record: dict[str, Any]) -> list[dict[str, Any]]:
    fields = record.get("fields")
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _record_flaws(record: dict[str, Any], path: str) -> Iterator[str]:
    where = path or "the message"
    kind = str(record.get("name"))
    if not TYPE_NAME.fullmatch(kind) or keyword.iskeyword(kind) or kind in IMPORTED:
        yield f"{where}: the name of a record is {kind!r}: give one such as OrderCreated"
    if not record.get("doc"):
        yield f"{where}: the record has no doc"
    fields = _fields(record)
    if not fields or len(fields) != len(record["fields"]):
        yield f"{where}: fields must be a list of fields"
    names = [field.get("name") for field in fields]
    for field in fields:
        name = field.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name) or keyword.iskeyword(name):
            yield f"{where}: the name of a field is {name!r}: give one such as orderId"
            continue
        place = f"{path}.{name}" if path else name
        if names.count(name) > 1:
            yield f"{place}: there are {names.count(name)} fields of this name"
        if not field.get("doc"):
            yield f"{place}: the field has no doc"
        problems = list(_type_flaws(field.get("type"), place))
        yield from problems
        if "default" in field and not problems and not _fits(field["default"], field["type"]):
            yield f"{place}: the default {field['default']!r} is no {_shown(field['type'])}"


def _type_flaws(avro: Any, place: str) -> Iterator[str]:
    match avro:
        case str() if avro in PYTHON:
            return
        case ["null", other] if other != "null" and not isinstance(other, list):
            yield from _type_flaws(other, place)
        case {"type": "array", "items": items}:
            yield from _type_flaws(items, f"{place}[]")
        case {"type": "record"}:
            yield from _record_flaws(avro, place)
        case {"type": "long", "logicalType": "timestamp-millis"}:
            return
        case {"type": str(kind), **others} if kind in PYTHON and not others:
            return
        case _:
            yield (
                f"{place}: the type {avro!r} is none that messages have: give {', '.join(PYTHON)}, an array, "
                'a record, a timestamp-millis, or ["null", one of them]'
            )


def _fits(value: Any, avro: Any) -> bool:
    """Whether a default is of its type. Of a union, the first branch counts, which is null here."""
    match avro:
        case list():
            return value is None
        case {"type": "array", "items": items}:
            return isinstance(value, list) and all(_fits(one, items) for one in value)
        case {"type": "record"}:
            names = {field["name"]: field["type"] for field in avro["fields"]}
            return (
                isinstance(value, dict)
                and value.keys() <= names.keys()
                and {f["name"] for f in avro["fields"] if "default" not in f} <= value.keys()
                and all(_fits(one, names[name]) for name, one in value.items())
            )
        case _:
            kind = avro["type"] if isinstance(avro, dict) else avro
            if type(value) is int and kind in RANGES:
                return -RANGES[kind] <= value < RANGES[kind]
            return type(value) is PYTHON[kind]


def _shown(avro: Any) -> str:
    if isinstance(avro, list):
        return "null, the first type of the union"
    return str(avro["type"] if isinstance(avro, dict) else avro)
