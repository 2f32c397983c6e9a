"""Functions between the instances of a message class and its Avro records, whose keys are camelCase.

Records serve what is rare: versions that are not the latest, the command line, and messages that are not plain
(:mod:`eventbus.bodies`).
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from eventbus.model.rules import field_types
from eventbus.schema_package import Record

Converters = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""From a value of a field to what Avro holds, and back."""


def converters(cls: Any, schema: Any) -> Converters:
    """Functions between an instance of a generated dataclass and its Avro record. They check no types."""
    hints = field_types(cls)
    camels = {name: camel(name) for name in hints}
    expected = {f["name"] for f in schema["fields"]} if isinstance(schema, dict) else set(camels.values())
    if set(camels.values()) != expected:
        raise TypeError(f"{cls.__name__} and its schema differ in {sorted(set(camels.values()) ^ expected)}")
    inner = [(name, camels[name], *pair) for name, hint in hints.items() if (pair := _nested(hint))]

    def to_record(value: Any) -> Record:
        record = {key: getattr(value, name) for name, key in camels.items()}
        for _, key, down, _ in inner:
            record[key] = down(record[key])
        return record

    def from_record(record: Record) -> Any:
        arguments = {name: record[key] for name, key in camels.items()}
        for name, key, _, up in inner:
            arguments[name] = up(record[key])
        return cls(**arguments)

    return to_record, from_record


def _nested(hint: Any) -> Converters | None:
    """Converters of a field that holds records: one, an optional one, or a tuple of them."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        down, up = _nested(args[0]) or (_same, _same)
        return lambda many: [down(one) for one in many], lambda many: tuple(up(one) for one in many)
    if origin in (typing.Union, types.UnionType):
        return next((_optional(*pair) for one in args if (pair := _nested(one))), None)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return converters(hint, None)
    return None


def _optional(down: Callable[[Any], Any], up: Callable[[Any], Any]) -> Converters:
    return (lambda v: None if v is None else down(v)), (lambda v: None if v is None else up(v))


def _same(value: Any) -> Any:
    return value


def camel(snake: str) -> str:
    """``available_qty`` -> ``availableQty``."""
    head, *tail = snake.split("_")
    return head + "".join(part.title() for part in tail)
