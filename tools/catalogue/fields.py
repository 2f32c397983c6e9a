"""The fields of an Avro schema as people read them, and what differs between two versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Field(NamedTuple):
    """One field, also of a record inside the message."""

    path: str
    """``items[].unitPrice`` is a field of each record of the array ``items``."""
    type: str
    default: str | None
    """As JSON; None if the field must be given."""
    doc: str


def fields(record: Mapping[str, Any], parent: str = "") -> Iterator[Field]:
    """The fields of a record, each followed by those of the records in it."""
    for field in record["fields"]:
        path = f"{parent}{field['name']}"
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else None
        yield Field(path, type_text(field["type"]), default, field.get("doc", ""))
        yield from _inside(field["type"], path)


def _inside(avro: Any, path: str) -> Iterator[Field]:
    if isinstance(avro, list):
        for branch in avro:
            yield from _inside(branch, path)
    elif isinstance(avro, Mapping):
        if avro["type"] == "record":
            yield from fields(avro, f"{path}.")
        elif avro["type"] == "array":
            yield from _inside(avro["items"], f"{path}[]")
        elif avro["type"] == "map":
            yield from _inside(avro["values"], f"{path}{{}}")


def type_text(avro: Any) -> str:
    """An Avro type in words: ``array of Item``, ``string or null``, ``long (timestamp-millis)``."""
    if isinstance(avro, str):
        return avro
    if isinstance(avro, list):
        # What is null or something is read as something that may be missing.
        return " or ".join(type_text(branch) for branch in sorted(avro, key=lambda branch: branch == "null"))
    match avro["type"]:
        case "array":
            return f"array of {type_text(avro['items'])}"
        case "map":
            return f"map of {type_text(avro['values'])}"
        case "enum":
            return f"one of {', '.join(avro['symbols'])}"
        case "record" | "fixed":
            return str(avro["name"])
        case other:
            kind = type_text(other)
            return f"{kind} ({avro['logicalType']})" if "logicalType" in avro else kind


def changes(older: Mapping[str, Any], newer: Mapping[str, Any]) -> list[str]:
    """What the newer of two versions changed, a sentence each. Words (``doc``) do not count."""
    before = {field.path: field for field in fields(older)}
    after = {field.path: field for field in fields(newer)}
    found = []
    if added := _outermost(path for path in after if path not in before):
        found.append(f"It adds {_listed(added)}.")
    if removed := _outermost(path for path in before if path not in after):
        found.append(f"It takes away {_listed(removed)}.")
    for path in before:
        if path not in after:
            continue
        old, new = before[path], after[path]
        if old.type != new.type:
            found.append(f"The type of `{path}` is {new.type}, before it was {old.type}.")
        if old.default != new.default:
            found.append(f"The default of `{path}` is {_default(new)}, before it was {_default(old)}.")
    return found


def _outermost(paths: Iterator[str]) -> list[str]:
    """The paths that are not inside another of them."""
    found: list[str] = []
    for path in paths:
        if not found or not path.startswith((f"{found[-1]}.", f"{found[-1]}[]", f"{found[-1]}{{}}")):
            found.append(path)
    return found


def _listed(paths: list[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths)


def _default(field: Field) -> str:
    return "none" if field.default is None else f"`{field.default}`"
