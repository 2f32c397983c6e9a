"""Avro's rules of schema resolution, judged from two schemas alone (Avro specification, "Schema Resolution").

Reading sample data proves only what the sample holds: a null where the reader wants a string fails on the
first null, perhaps months later. These rules say beforehand what no data may bring.
"""

from __future__ import annotations

from typing import Any

PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def conflicts(writer: Any, reader: Any, path: str = "") -> list[str]:
    """What could stop ``reader`` from reading what ``writer`` wrote: one sentence each, empty if nothing.

    Both are Avro types as JSON gives them, with nested records inlined. ValueError for a kind of type
    the messages do not use (maps, enums, fixed, references by name).
    """
    if isinstance(writer, list):
        return [conflict for branch in writer for conflict in conflicts(branch, reader, path)]
    if isinstance(reader, list):
        found = [conflicts(writer, branch, path) for branch in reader]
        matches = any(not problems for problems in found)
        return [] if matches else [f"{path}: no branch of the reader's union takes {_kind(writer)}"]
    match _kind(writer), _kind(reader):
        case "record", "record":
            return _record_conflicts(writer, reader, path)
        case "array", "array":
            return conflicts(writer["items"], reader["items"], f"{path}[]")
        case written, wanted if written == wanted or wanted in PROMOTIONS.get(written, ()):
            return []
        case written, wanted:
            return [f"{path}: written as {written}, wanted as {wanted}"]


def _kind(avro: Any) -> str:
    kind = avro["type"] if isinstance(avro, dict) else avro
    if kind not in PRIMITIVES | {"record", "array"}:
        raise ValueError(f"no rule for the Avro type {avro!r}; inline it or add the rule")
    return str(kind)


def _record_conflicts(writer: dict[str, Any], reader: dict[str, Any], path: str) -> list[str]:
    if writer["name"] != reader["name"]:
        return [f"{path}: written as record {writer['name']}, wanted as record {reader['name']}"]
    written = {field["name"]: field for field in writer["fields"]}
    found = []
    for field in reader["fields"]:
        place = f"{path}.{field['name']}" if path else field["name"]
        if field["name"] in written:
            found += conflicts(written[field["name"]]["type"], field["type"], place)
        elif "default" not in field:
            found.append(f"{place}: not written, and the reader has no default")
    return found
