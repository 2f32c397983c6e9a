"""Functions between the instances of a message class and its Avro records, whose keys are camelCase."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from eventbus.model.messages import Range
from eventbus.model.rules import check, field_types, range_of
from eventbus.schema_package import Record

Converters = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""From a value of a field to what Avro holds, and back."""


def converters(cls: Any, schema: Any) -> Converters:
    """Functions between an instance of a generated dataclass and its Avro record.

    The first raises TypeError where fastavro would write another value than the one it is given without a word: it
    takes 1.5 for 1, True for 1, a number of 40 bits as an ``int``, anything as a ``boolean``, and a text as an array.
    """
    hints = field_types(cls)
    camels = [_camel(name) for name in hints]
    expected = {f["name"] for f in schema["fields"]} if isinstance(schema, dict) else set(camels)
    if set(camels) != expected:
        raise TypeError(f"{cls.__name__} and its schema differ in {sorted(set(camels) ^ expected)}")
    by_camel = dict(zip(camels, hints.values(), strict=True))
    whole = [(name, *limits) for name, hint in by_camel.items() if (limits := range_of(hint))]
    optional = [(name, *limits) for name, hint in by_camel.items() if (limits := _optional_range(hint))]
    truths = [name for name, hint in by_camel.items() if hint is bool]
    inner = [(_camel(name), name, *pair) for name, hint in hints.items() if (pair := _nested(hint))]
    get = attrgetter(*hints)
    single = len(camels) == 1

    def to_record(value: Any) -> Record:
        if type(value) is not cls:
            raise TypeError(f"{type(value).__name__} is not {cls.__name__}")
        record = dict(zip(camels, (get(value),) if single else get(value), strict=True))
        for name, low, high in whole:
            number = record[name]
            if type(number) is not int or not low <= number <= high:
                raise TypeError(f"{name} is {number!r}")
        for name, low, high in optional:
            number = record[name]
            if number is not None and (type(number) is not int or not low <= number <= high):
                raise TypeError(f"{name} is {number!r}")
        for name in truths:
            if type(record[name]) is not bool:
                raise TypeError(f"{name} is {record[name]!r}")
        for name, _, down, _ in inner:
            record[name] = down(record[name])
        return record

    snakes = list(hints)

    def from_record(record: Record) -> Any:
        arguments = {s: record[c] for s, c in zip(snakes, camels, strict=True)}
        for name, snake, _, up in inner:
            arguments[snake] = up(record[name])
        return cls(**arguments)

    return to_record, from_record


def _nested(hint: Any) -> Converters | None:
    """Converters of a field that holds records: one, an optional one, or a tuple of them."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        down, up = _nested(args[0]) or (_checked(args[0]), _same)

        def down_all(many: Any) -> list[Any]:
            if type(many) is not tuple:
                raise TypeError(f"{many!r} is no tuple")
            return [down(one) for one in many]

        return down_all, lambda many: tuple(up(one) for one in many)
    if origin in (typing.Union, types.UnionType):
        return next((_optional(*pair) for one in args if (pair := _nested(one))), None)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return converters(hint, None)
    return None


def _optional_range(hint: Any) -> Range | None:
    """The range of an optional whole number; None for any other type."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None
    return next((limits for one in typing.get_args(hint) if (limits := range_of(one)) is not None), None)


def _optional(down: Callable[[Any], Any], up: Callable[[Any], Any]) -> Converters:
    return (lambda v: None if v is None else down(v)), (lambda v: None if v is None else up(v))


def _checked(hint: Any) -> Callable[[Any], Any]:
    """A function that gives a value back if it is of a type without records, and else raises TypeError."""

    def checked(value: Any) -> Any:
        check(value, hint, "a value")
        return value

    return _same if hint is str else checked


def _same(value: Any) -> Any:
    return value


def _camel(snake: str) -> str:
    head, *tail = snake.split("_")
    return head + "".join(part.title() for part in tail)
