"""What is written straight from a message is what fastavro writes, and what is not plain goes through fastavro."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.bodies import plain_body
from eventbus.codec import Codec
from eventbus.model.errors import Poison
from eventbus.model.messages import Message
from eventbus.model.rules import field_types, range_of

CODEC = Codec("meters", "parcels")
TEXTS = st.one_of(st.text(), st.sampled_from(["x" * 63, "x" * 64, "ü" * 5_000, "\0"]))


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of this type takes."""
    if limits := range_of(hint):
        return st.one_of(st.integers(*limits), st.integers(-70, 70))
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=3).map(tuple)
    if options := typing.get_args(hint):
        return st.one_of(*map(values, options))
    if dataclasses.is_dataclass(hint):
        cls: Any = hint
        return st.builds(cls, **{name: values(of) for name, of in field_types(cls).items()})
    return TEXTS if hint is str else st.from_type(hint)


def by_fastavro(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def is_plain(codec: Codec, cls: type[Message]) -> bool:
    return plain_body(cls, codec.schema_of(cls)) is not None


def test_every_generated_message_is_plain() -> None:
    assert [cls.name for cls in CODEC.classes() if not is_plain(CODEC, cls)] == []


@given(message=st.sampled_from(CODEC.classes()).flatmap(values))
def test_a_body_is_written_as_fastavro_writes_its_record(message: Message) -> None:
    version = type(message).schema
    body = CODEC.encode_as(message, version)[5:]
    assert body == by_fastavro(CODEC.schema_of(type(message)), CODEC.record_of(message))
    assert CODEC.decode_value(CODEC.encode_as(message, version)) == message


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The schema package ``gauges``, to be filled by :func:`codec_of`; forgotten after the test."""
    (tmp_path / "gauges" / "gauge.events").mkdir(parents=True)
    (tmp_path / "gauges" / "__init__.py").touch()
    (tmp_path / "gauges" / "ids.json").write_text('{"Gauge.v1": 900001}')
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "gauges"
    for name in ("gauges", "gauges.messages"):
        sys.modules.pop(name, None)


def codec_of(package: Path, python: str, *fields: Any) -> tuple[Codec, Any]:
    """A codec that knows the message Gauge with these fields beside its key, and the class."""
    (package / "messages.py").write_text(
        "from dataclasses import dataclass\n"
        "from eventbus.model.messages import Event, message\n"
        "@dataclass(frozen=True)\n"
        "class Part:\n"
        "    part_id: str\n"
        '@message(topic="gauge.events", key="gauge_id", schema="Gauge.v1")\n'
        "@dataclass(frozen=True)\n"
        f"class Gauge(Event):\n    gauge_id: str\n{python}"
    )
    schema = {"type": "record", "name": "Gauge", "fields": [{"name": "gaugeId", "type": "string"}, *fields]}
    (package / "gauge.events" / "Gauge.v1.avsc").write_text(json.dumps(schema))
    codec = Codec("gauges")
    return codec, next(cls for cls in codec.classes() if cls.name == "Gauge")


PART = {"type": "record", "name": "Part", "fields": [{"name": "partId", "type": "string"}]}


@pytest.mark.parametrize(
    ("python", "avro", "value"),
    [
        ("one: float", "double", 1.5),
        ("one: bytes", "bytes", b"\0\xff"),
        ("one: int | str", ["string", "long"], 7),
        ("one: str", {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, "B"),
    ],
)
def test_a_message_with_a_field_that_is_not_plain_is_read_as_it_was_written(
    package: Path, python: str, avro: Any, value: Any
) -> None:
    codec, gauge = codec_of(package, f"    {python}\n", {"name": "one", "type": avro})
    assert not is_plain(codec, gauge)
    assert codec.decode_value(codec.encode(gauge("g", value))) == gauge("g", value)
    with pytest.raises(Poison, match=r"Gauge does not fit its schema Gauge\.v1"):
        codec.encode(gauge("g", None))


def test_a_record_may_be_named_where_it_was_defined_before_and_null_may_come_last(package: Path) -> None:
    codec, gauge = codec_of(
        package,
        "    first: Part\n    others: tuple[Part, ...]\n    last: Part | None\n",
        {"name": "first", "type": PART},
        {"name": "others", "type": {"type": "array", "items": "Part"}},
        {"name": "last", "type": ["Part", "null"]},
    )
    part = sys.modules["gauges.messages"].Part("p")
    assert is_plain(codec, gauge)
    for message in (gauge("g", part, (part, part), part), gauge("g", part, (), None)):
        assert codec.encode(message)[5:] == by_fastavro(codec.schema_of(gauge), codec.record_of(message))
        assert codec.decode_value(codec.encode(message)) == message


def test_a_number_is_refused_that_the_schema_has_no_room_for_though_its_class_has(package: Path) -> None:
    codec, gauge = codec_of(package, "    units: int\n", {"name": "units", "type": "int"})
    assert codec.decode_value(codec.encode(gauge("g", 2**31 - 1))) == gauge("g", 2**31 - 1)
    with pytest.raises(Poison, match=r"Gauge\.v1: 1099511627776 is no whole number from -2147483648"):
        codec.encode(gauge("g", 2**40))
