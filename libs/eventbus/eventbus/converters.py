"""Functions between the instances of a message class and its Avro records, whose keys are camelCase."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from eventbus.schema_package import Record


def converters(cls: type[Any], schema: Any) -> tuple[Callable[[Any], Record], Callable[[Record], Any]]:
    """Functions between an instance of a generated dataclass and its Avro record (camelCase keys)."""
    fields = dataclasses.fields(cls)
    hints = typing.get_type_hints(cls)
    camels = [_camel(f.name) for f in fields]
    expected = {f["name"] for f in schema["fields"]} if isinstance(schema, dict) else set(camels)
    if set(camels) != expected:
        raise TypeError(f"{cls.__name__} and its schema differ in {sorted(set(camels) ^ expected)}")
    snakes = [f.name for f in fields]
    inner = {c: pair for f, c in zip(fields, camels, strict=True) if (pair := _nested(hints[f.name]))}
    get = attrgetter(*snakes)
    single = len(snakes) == 1

    def to_record(value: Any) -> Record:
        record = dict(zip(camels, (get(value),) if single else get(value), strict=True))
        for name, (down, _) in inner.items():
            record[name] = down(record[name])
        return record

    def from_record(record: Record) -> Any:
        arguments = {s: record[c] for s, c in zip(snakes, camels, strict=True)}
        for (name, (_, up)), snake in zip(inner.items(), nested_snakes, strict=True):
            arguments[snake] = up(record[name])
        return cls(**arguments)

    nested_snakes = [s for s, c in zip(snakes, camels, strict=True) if c in inner]
    return to_record, from_record


def _nested(hint: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Converters of a field that holds records: one, an optional one, or a tuple of them."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        one = typing.cast(type[Any], args[0])
        down, up = converters(one, None) if dataclasses.is_dataclass(one) else (_same, _same)
        return (lambda many: [down(v) for v in many]), (lambda many: tuple(up(v) for v in many))
    if origin in (typing.Union, types.UnionType):
        records = [a for a in args if dataclasses.is_dataclass(a)]
        if records:
            down, up = converters(typing.cast(type[Any], records[0]), None)
            return (lambda v: None if v is None else down(v)), (lambda v: None if v is None else up(v))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return converters(typing.cast(type[Any], hint), None)
    return None


def _same(value: Any) -> Any:
    return value


def _camel(snake: str) -> str:
    head, *tail = snake.split("_")
    return head + "".join(part.title() for part in tail)
