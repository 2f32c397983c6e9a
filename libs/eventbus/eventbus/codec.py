"""Avro in the Confluent wire format, with CloudEvents 1.0 headers (Kafka binding, binary mode).

A value is ``0x00``, a 4-byte big-endian schema id, and the Avro body. Timestamps travel as ``timestamp-millis`` and
are plain ``int`` in Python.
Source: Confluent "Wire format"; CloudEvents "Kafka Protocol Binding" 1.0.2; W3C Trace Context.
"""

from __future__ import annotations

import dataclasses
import io
import struct
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import fastavro

from eventbus.headers import _millis, _number, _short
from eventbus.model.errors import Poison
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Raw
from eventbus.model.rules import check_fields
from eventbus.schema_package import Record, SchemaPackage, Upcast

OPERATION = "eventbus.admin"
"""The schema package of what operators say. Every process knows it."""


@dataclass(frozen=True)
class Shape:
    """How one message class becomes an Avro record and back."""

    cls: type[Message]
    schema: Any
    schema_id: int
    to_record: Callable[[Any], Record]
    from_record: Callable[[Record], Any]


class Codec:
    """Writes with the newest version of a schema and reads every version ever released."""

    def __init__(self, *packages: str) -> None:
        """Knows the messages of these schema packages, such as ``schemas``, and what operators say.

        Raises ValueError if a package is incomplete, or two claim the same message, schema or id.
        """
        self._upcasts: dict[tuple[str, int], Upcast] = {}
        self._written: dict[int, tuple[str, int, Any]] = {}
        self._shapes: dict[type[Message], Shape] = {}
        self._by_name: dict[str, Shape] = {}
        for name in dict.fromkeys((*packages, OPERATION)):
            self._add(SchemaPackage.load(name))

    def _add(self, package: SchemaPackage) -> None:
        parsed: dict[str, Any] = {}
        for full, schema_id in package.ids.items():
            name, version = full.rsplit(".v", 1)
            if schema_id in self._written:
                raise ValueError(
                    f"{package.folder}/ids.json: the id {schema_id} of {full} is taken elsewhere"
                )
            parsed[full] = fastavro.parse_schema(_plain(package.schemas[full]), named_schemas={})
            self._written[schema_id] = (name, int(version), parsed[full])
        for cls in package.classes:
            if cls.name in self._by_name:
                raise ValueError(f"{package.folder}: another package has a message {cls.name}")
            schema = parsed[cls.schema]
            shape = Shape(cls, schema, package.ids[cls.schema], *_converters(cls, schema))
            self._shapes[cls] = self._by_name[cls.name] = shape
        self._upcasts |= package.upcasts

    def encode(self, message: Message) -> bytes:
        """The value of a message; raises Poison if a field does not fit its schema."""
        shape = self._shapes.get(type(message))
        if shape is None:
            raise TypeError(
                f"{type(message).__module__}.{message.name} is in no schema package that this process was given"
            )
        out = io.BytesIO()
        out.write(b"\0" + struct.pack(">I", shape.schema_id))
        try:
            fastavro.schemaless_writer(out, shape.schema, shape.to_record(message))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            try:
                check_fields(message)
            except TypeError as named:
                raise Poison(f"{message.name} does not fit its schema {message.schema}: {named}") from error
            raise Poison(f"{message.name} does not fit its schema {message.schema}: {error}") from error
        return out.getvalue()

    def check_knows(self, classes: Iterable[type[Message]], for_whom: str) -> None:
        """Raises ValueError if one of these message classes is in none of the packages."""
        for cls in classes:
            if cls not in self._shapes:
                raise ValueError(
                    f"{for_whom} takes {cls.__module__}.{cls.name}, which is in none of its schema packages: "
                    "name the package in Service(schemas=...)"
                )

    def record_of(self, message: Message) -> Record:
        """The fields of a message as its Avro record holds them, by their camelCase names."""
        return self._shapes[type(message)].to_record(message)

    def classes(self) -> tuple[type[Message], ...]:
        """The class of every message it knows."""
        return tuple(self._shapes)

    def schema_of(self, cls: type[Message]) -> Any:
        """The Avro schema of a message class, as parsed JSON, without logical types."""
        return self._shapes[cls].schema

    def from_record(self, cls: type[Message], record: Record) -> Message:
        """The inverse of :meth:`record_of`, for a record that has all fields of the schema."""
        return typing.cast(Message, self._shapes[cls].from_record(record))

    def name_of(self, value: bytes | None) -> str:
        """The name of the message in a value, from its schema id alone; raises Poison."""
        return self._writer(value)[1]

    def version_of(self, value: bytes | None) -> str:
        """The version of the message in a value, as ``OrderCreated.v2``, from its schema id alone; raises Poison."""
        _, name, version, _ = self._writer(value)
        return f"{name}.v{version}"

    def _writer(self, value: bytes | None) -> tuple[int, str, int, Any]:
        if not value:
            raise Poison("empty value: a message needs an Avro body")
        if len(value) < 5 or value[0] != 0:
            raise Poison("not in the Confluent wire format: expected 0x00 and a 4-byte schema id")
        (schema_id,) = struct.unpack(">I", value[1:5])
        if schema_id not in self._written:
            raise Poison(f"unknown schema id {schema_id}: it is in the ids.json of no schema package here")
        return schema_id, *self._written[schema_id]

    def decode_value(self, value: bytes | None) -> Message:
        """The message in a value of any released version; raises Poison."""
        schema_id, name, version, writer = self._writer(value)
        assert value is not None
        shape = self._by_name[name]
        body = io.BytesIO(value[5:])
        try:
            if schema_id == shape.schema_id:
                record = typing.cast(Record, fastavro.schemaless_reader(body, writer, None))
            else:
                record = typing.cast(Record, fastavro.schemaless_reader(body, writer, shape.schema))
                if upcast := self._upcasts.get((name, version)):
                    record = upcast(record)
            message = typing.cast(Message, shape.from_record(record))
        except (
            Exception
        ) as error:  # fastavro raises whatever the bytes provoke, IndexError and EOFError among them
            raise Poison(
                f"the body is not {name} version {version}: {type(error).__name__} {str(error)[:300]}"
            ) from error
        if body.read(1):
            raise Poison(f"bytes are left over after {name} version {version}")
        return message

    def decode(self, raw: Raw) -> Envelope:
        """A record as a message with its envelope; raises Poison.

        Headers may be absent, and a ``timestamp`` may be 0: then the record's own time serves. A header that says
        nothing usable (a number out of range, a date that is none, a text too long to be copied on) counts as absent.
        """
        if raw.flaw:
            raise Poison(raw.flaw)
        if raw.key is not None and len(raw.key) > MAX_KEY:
            raise Poison(f"the key has {len(raw.key)} bytes, more than {MAX_KEY}")
        message = self.decode_value(raw.value)
        # Compared as bytes: two keys that are no text may look the same once decoded.
        if raw.key != message.key.encode():
            raise Poison(
                f"the record's key {raw.key!r} is not the {message.key_field} "
                f"{message.key[:MAX_KEY]!r} of its body"
            )
        headers = {k: text for k, v in raw.headers if v and (text := _short(k, v))}
        time = _millis(headers.get("ce_time"), raw.timestamp)
        identity = headers.get("ce_id", raw.coordinates)
        return Envelope(
            message=message.stamp(time),
            id=identity,
            time=time,
            source=headers.get("ce_source", ""),
            correlation_id=headers.get("correlationid") or identity,
            cause=headers.get("cause"),
            key_version=_number(headers.get("keyversion")),
            traceparent=headers.get("traceparent"),
            topic=raw.topic,
            partition=raw.partition,
            offset=raw.offset,
            size=len(raw.value or b""),
        )


def _plain(schema: Any) -> Any:
    """The schema without logical types: on the wire it is the same, and ints stay ints."""
    if isinstance(schema, dict):
        return {k: _plain(v) for k, v in schema.items() if k != "logicalType"}
    return [_plain(s) for s in schema] if isinstance(schema, list) else schema


def _converters(cls: type[Any], schema: Any) -> tuple[Callable[[Any], Record], Callable[[Record], Any]]:
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
        down, up = _converters(one, None) if dataclasses.is_dataclass(one) else (_same, _same)
        return (lambda many: [down(v) for v in many]), (lambda many: tuple(up(v) for v in many))
    if origin in (typing.Union, types.UnionType):
        records = [a for a in args if dataclasses.is_dataclass(a)]
        if records:
            down, up = _converters(typing.cast(type[Any], records[0]), None)
            return (lambda v: None if v is None else down(v)), (lambda v: None if v is None else up(v))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _converters(typing.cast(type[Any], hint), None)
    return None


def _same(value: Any) -> Any:
    return value


def _camel(snake: str) -> str:
    head, *tail = snake.split("_")
    return head + "".join(part.title() for part in tail)
