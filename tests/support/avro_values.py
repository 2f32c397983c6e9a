"""Values and schemas for hypothesis: whatever a schema file may hold, and whatever a record of it may hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KEY = {"name": "thingId", "type": "string", "doc": "The key."}
NAMES = ("alpha", "beta", "gamma")
DEFAULTS = {
    "string": st.sampled_from(["", "x"]),
    "int": st.integers(0, 3),
    "long": st.integers(0, 3),
    "boolean": st.booleans(),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
}


def values(avro: Any) -> st.SearchStrategy[Any]:
    """Values of an Avro type, as fastavro takes them."""
    match avro:
        case ["null", other]:
            return st.none() | values(other)
        case {"type": "array", "items": items}:
            return st.lists(values(items), max_size=2)
        case {"type": "record", "fields": fields}:
            return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in fields})
        case {"type": str(kind)}:
            return VALUES[kind]
        case _:
            return VALUES[avro]


@st.composite
def records(draw: st.DrawFn, name: str = "Thing", depth: int = 0) -> dict[str, Any]:
    """A schema of a record, with fields of every type that messages have."""
    chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    fields = [draw(fields_named(field, name, depth)) for field in chosen]
    return {"type": "record", "name": name, "doc": "A thing.", "fields": fields}


@st.composite
def fields_named(draw: st.DrawFn, name: str, within: str, depth: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["string", "int", "long", "boolean"]))
    inner: Any = kind
    if depth < 1 and draw(st.booleans()):
        inner = draw(records(f"{within}{name.title()}", depth + 1))
    field: dict[str, Any] = {"name": name, "type": inner, "doc": "A field."}
    shape = draw(st.sampled_from(["plain", "optional", "many"]))
    if shape == "optional":
        field["type"] = ["null", inner]
    elif shape == "many":
        field["type"] = {"type": "array", "items": inner}
    if draw(st.booleans()):
        if shape == "plain" and isinstance(inner, str):
            field["default"] = draw(DEFAULTS[inner])
        elif shape != "plain":
            field["default"] = None if shape == "optional" else []
    return field


def message(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the content of a schema file: with a key, a topic and a kind."""
    return {
        **record,
        "topic": "thing.events",
        "key": KEY["name"],
        "kind": "event",
        "fields": [KEY, *record["fields"]],
    }
