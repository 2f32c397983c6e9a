"""JSON as the record of an Avro schema: every field checked, and what is wrong said with its name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

_BITS = {"int": 32, "long": 64}
_TYPES: dict[str, tuple[str, type]] = {
    "string": ("a string", str),
    "boolean": ("true or false", bool),
    "null": ("null", type(None)),
    "array": ("a list", list),
    "record": ("an object", dict),
}


class WrongJson(ValueError):
    """JSON that does not fit a schema: a sentence that names each field and what is wrong with it."""


def record_of_json(schema: Mapping[str, Any], value: object) -> dict[str, Any]:
    """The record of a record schema (parsed JSON, names in full) that ``value`` says; defaults are filled in.

    A union takes the value itself, not Avro's own JSON encoding of it. Raises WrongJson.
    """
    reading = _Reading()
    record = reading.read(schema, value, str(schema["name"]).rpartition(".")[2])
    if reading.wrong:
        raise WrongJson("; ".join(reading.wrong))
    assert isinstance(record, dict)
    return record


class _Reading:
    """One value on its way through a schema."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._named: dict[str, Any] = {}

    def read(self, schema: Any, value: object, where: str) -> Any:
        """The Avro value; what is wrong is noted, and stands as None in it."""
        if isinstance(schema, list):
            return self._union(schema, value, where)
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        elif "name" in schema:
            self._named[str(schema["name"])] = schema
        kind = str(schema["type"])
        if kind in _BITS:
            return self._whole(kind, value, where)
        if kind not in _TYPES:
            return self._refuse(where, f"cannot be given as JSON, its type is {kind}")
        words, expected = _TYPES[kind]
        if not isinstance(value, expected):
            return self._refuse(where, f"must be {words}, not {value!r:.100}")
        if isinstance(value, list):
            return [self.read(schema["items"], one, f"{where}[{index}]") for index, one in enumerate(value)]
        return self._record(schema, value, where) if isinstance(value, dict) else value

    def _record(self, schema: Mapping[str, Any], value: Mapping[str, object], where: str) -> dict[str, Any]:
        fields = {str(field["name"]): field for field in schema["fields"]}
        for name in value:
            if name not in fields:
                near = get_close_matches(name, fields, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
                self._refuse(f"{where}.{name}", f"is no field of it: {hint}")
        record = {}
        for name, field in fields.items():
            if name in value or "default" in field:
                record[name] = self.read(
                    field["type"], value.get(name, field.get("default")), f"{where}.{name}"
                )
            else:
                self._refuse(f"{where}.{name}", "is missing")
        return record

    def _union(self, branches: list[Any], value: object, where: str) -> Any:
        others = [branch for branch in branches if branch != "null"]
        if value is None and len(others) < len(branches):
            return None
        if len(others) == 1:
            return self.read(others[0], value, where)
        return self._refuse(where, f"cannot be given as JSON, its type is one of {len(branches)}")

    def _whole(self, kind: str, value: object, where: str) -> Any:
        limit = 2 ** (_BITS[kind] - 1)
        # JSON has one kind of number: 2.0 would be taken for what it is not, money in minor units.
        if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
            return self._refuse(where, f"must be a whole number of {_BITS[kind]} bits, not {value!r:.100}")
        return value

    def _refuse(self, where: str, why: str) -> None:
        self.wrong.append(f"{where} {why}")
