"""Avro bodies of messages with plain fields: written straight from the message, with the check of their types.

Plain are texts, whole numbers and truth values, records of plain fields, tuples of these, and whatever of it is
optional. What ``tools.generate_messages`` generates is plain. Any other message goes through a record as fastavro
takes it (:mod:`eventbus.converters`), which costs three times as much.
Source: Avro 1.11 "Binary Encoding".
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from eventbus.converters import camel
from eventbus.model.messages import INT64, Range
from eventbus.model.rules import field_types, range_of

Write = Callable[[Any], bytes]
"""The bytes of a value. Raises TypeError or ValueError for one that :func:`~eventbus.model.rules.check` refuses."""

INT32 = Range(-(2**31), 2**31 - 1)
RANGES = {"int": INT32, "long": INT64}


class PlainBody(NamedTuple):
    """How the body of one message class is written, and read."""

    write: Write
    schema: Any
    """The Avro schema, not parsed, with the names that the fields have in Python: a reader gives these."""


class _NotPlain(Exception):
    """A field has another type."""


def plain_body(cls: type, schema: Any) -> PlainBody | None:
    """How messages of this class are written and read by a parsed schema; None if not all fields are plain."""
    names: dict[str, str] = {}
    try:
        write = _record(cls, schema, {}, names)
    except _NotPlain:
        return None
    return PlainBody(write, _renamed(schema, names))


def _record(cls: type, schema: Any, known: dict[str, Any], names: dict[str, str]) -> Write:
    """``known``: the records of the schema by name; ``names``: the Python names of fields by the Avro ones."""
    known[schema["name"]] = schema
    hints = field_types(cls)
    snakes = {camel(name): name for name in hints}
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    if snakes.keys() != fields.keys() or any(names.setdefault(c, s) != s for c, s in snakes.items()):
        raise _NotPlain
    writes = tuple(_writer(avro, hints[snakes[name]], known, names) for name, avro in fields.items())
    own = [snakes[name] for name in fields]
    # ``attrgetter`` gives a tuple only for two names and more.
    values = attrgetter(*own) if len(own) > 1 else lambda value: [getattr(value, name) for name in own]

    def write(value: Any) -> bytes:
        if type(value) is not cls:
            raise TypeError(f"{type(value).__name__} is not {cls.__name__}")
        return b"".join([write_field(one) for write_field, one in zip(writes, values(value), strict=True)])

    return write


def _writer(avro: Any, hint: Any, known: dict[str, Any], names: dict[str, str]) -> Write:
    """What writes the values of a field of this Avro type and this Python type. Raises _NotPlain."""
    if isinstance(avro, str):
        avro = known.get(avro, {"type": avro})
    if isinstance(avro, list):
        return _optional(avro, hint, known, names)
    match avro["type"]:
        case "string" if hint is str:
            return _text
        case ("int" | "long") as kind if limits := range_of(hint):
            narrow = RANGES[kind]
            return _whole(max(limits.low, narrow.low), min(limits.high, narrow.high))
        case "boolean" if hint is bool:
            return _truth
        case "record" if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return _record(hint, avro, known, names)
        case "array" if typing.get_origin(hint) is tuple:
            return _array(_writer(avro["items"], typing.get_args(hint)[0], known, names))
    raise _NotPlain


def _optional(union: list[Any], hint: Any, known: dict[str, Any], names: dict[str, str]) -> Write:
    """A union of null and one other type."""
    others = [one for one in union if one != "null"]
    hints = [one for one in typing.get_args(hint) if one is not type(None)]
    is_optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if not is_optional or (len(union), len(others), len(hints)) != (2, 1, 1):
        raise _NotPlain
    inner = _writer(others[0], hints[0], known, names)
    nothing, something = _long(union.index("null")), _long(union.index(others[0]))
    return lambda value: nothing if value is None else something + inner(value)


def _array(inner: Write) -> Write:
    def write(values: Any) -> bytes:
        if type(values) is not tuple:
            raise TypeError(f"{values!r:.100} is no tuple")
        return _long(len(values)) + b"".join(map(inner, values)) + b"\0" if values else b"\0"

    return write


def _whole(low: int, high: int) -> Write:
    def write(number: Any) -> bytes:
        if type(number) is not int or not low <= number <= high:
            raise TypeError(f"{number!r:.100} is no whole number from {low} to {high}")
        return _long(number)

    return write


def _text(text: Any) -> bytes:
    content = str.encode(text)
    return _long(len(content)) + content


def _truth(value: Any) -> bytes:
    if type(value) is not bool:
        raise TypeError(f"{value!r:.100} is no truth value")
    return b"\1" if value else b"\0"


@lru_cache(maxsize=4_096)
def _long(number: int) -> bytes:
    """A number of up to 64 bits, zigzag and of variable length. Lengths and times come again and again."""
    rest, content = (number << 1) ^ (number >> 63), bytearray()
    while rest > 127:
        content.append(rest & 127 | 128)
        rest >>= 7
    content.append(rest)
    return bytes(content)


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    """The schema with other names of fields, without what fastavro noted in it."""
    if isinstance(schema, list):
        return [_renamed(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: _renamed(value, names) for key, value in schema.items() if not key.startswith("__")}
    if "fields" in copy:
        copy["fields"] = [{**field, "name": names[field["name"]]} for field in copy["fields"]]
    return copy
