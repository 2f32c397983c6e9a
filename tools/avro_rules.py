"""Avro's rules of schema resolution, judged from two schemas alone (Avro specification, "Schema Resolution").

Reading sample data proves only what the sample holds: a null where the reader wants a string fails on the
first null, perhaps months later. These rules say beforehand what no data may bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, groupby
from typing import Any

from tools.schema_folders import SchemaFile

PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


SAME = ("topic", "key", "kind")
"""What all versions of a message have in common."""


def version_conflicts(files: Iterable[SchemaFile]) -> list[str]:
    """Each pair of versions that breaks a rule, with the field; empty if none does.

    Every version reads all before it (BACKWARD_TRANSITIVE). Within a major version, each also reads all after it
    (FULL_TRANSITIVE). ``files``: the versions of each message ascending, as ``schema_files`` gives them.
    """
    by_name = sorted(files, key=lambda file: file.version)
    groups = groupby(by_name, key=lambda file: file.name)
    return [line for _, group in groups for old, new in combinations(group, 2) for line in _pair(old, new)]


def _pair(old: SchemaFile, new: SchemaFile) -> Iterator[str]:
    for attribute in SAME:
        before, after = old.record.get(attribute), new.record.get(attribute)
        if before != after:
            yield f"{new.id} has the {attribute} {after}, {old.id} has {before}: it must stay"
    for conflict in conflicts(old.record, new.record):
        yield f"{new.id} cannot read {old.id}: {conflict}"
    if old.version.major == new.version.major:
        for conflict in conflicts(new.record, old.record):
            yield (
                f"{old.id} cannot read {new.id}, as versions of one major number must: {conflict}. "
                f"Give the field a default, or make it {old.name}.v{old.version.major + 1}"
            )


def conflicts(writer: Any, reader: Any, path: str = "") -> list[str]:
    """What could stop ``reader`` from reading what ``writer`` wrote: one sentence each, empty if nothing.

    Both are Avro types as JSON gives them, with nested records inlined. ValueError for a kind of type
    the messages do not use (maps, enums, fixed, references by name).
    """
    if isinstance(writer, list):
        return [conflict for branch in writer for conflict in conflicts(branch, reader, path)]
    if isinstance(reader, list):
        found = [conflicts(writer, branch, path) for branch in reader]
        if not all(found):
            return []
        alike = [
            problems for branch, problems in zip(reader, found, strict=True) if _kind(branch) == _kind(writer)
        ]
        return alike[0] if alike else [f"{path}: no branch of the reader's union takes {_kind(writer)}"]
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
