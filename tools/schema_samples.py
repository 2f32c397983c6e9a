"""Sample records of a schema: complete, so that their bytes show every field."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
EXAMPLES: dict[str, Any] = {"string": "example", "int": 1, "long": 1, "boolean": True}
AN_INSTANT = 1_767_607_200_000
"""2026-01-05T10:00:00Z in ms since epoch."""


def example(avro: Any) -> Any:
    """A value of an Avro type that differs from most defaults: no null, no empty list."""
    match avro:
        case ["null", other]:
            return example(other)
        case {"type": "array", "items": items}:
            return [example(items)]
        case {"type": "record", "fields": fields}:
            return {field["name"]: example(field["type"]) for field in fields}
        case {"logicalType": "timestamp-millis"}:
            return AN_INSTANT
        case {"type": kind}:
            return EXAMPLES[kind]
        case _:
            return EXAMPLES[avro]


def fitted(value: Any, avro: Any) -> Any:
    """A value of an older schema as one of ``avro``: what is missing gets an example, what is gone is left out."""
    match avro:
        case ["null", other]:
            return None if value is None else fitted(value, other)
        case {"type": "array", "items": items}:
            return [fitted(one, items) for one in value]
        case {"type": "record", "fields": fields}:
            return {
                field["name"]: fitted(value[field["name"]], field["type"])
                if field["name"] in value
                else _first(field)
                for field in fields
            }
        case _:
            return value


def _first(field: Json) -> Any:
    """The version that a body names is its default."""
    return field["default"] if field["name"] == "version" else example(field["type"])
