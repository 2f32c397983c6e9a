"""Avro in the Confluent wire format, with CloudEvents 1.0 headers (Kafka binding, binary mode).

A value is ``0x00``, a 4-byte big-endian schema id, and the Avro body. Timestamps travel as ``timestamp-millis`` and
are plain ``int`` in Python.
Source: Confluent "Wire format"; CloudEvents "Kafka Protocol Binding" 1.0.2; W3C Trace Context.
"""

from __future__ import annotations

import io
import struct
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import fastavro

from eventbus.converters import converters
from eventbus.headers import Told
from eventbus.model.errors import Poison, UnknownSchema, Unrepresentable
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Raw
from eventbus.model.rules import check_fields
from eventbus.model.versions import Version
from eventbus.schema_package import Cast, Record, SchemaPackage

OPERATION = "eventbus.admin"
"""The schema package of what operators say. Every process knows it."""
NUMBER = "version"
"""The field of a body that holds the number of its version, if its schema gives it that as its default."""


@dataclass(frozen=True)
class WireVersion:
    """One version of a message, as values carry it."""

    version: Version
    schema: Any
    """Parsed by fastavro."""
    prefix: bytes
    """The wire header: a zero byte and the schema id."""
    number: str | None
    """The default of the field ``version``, if there is one."""


@dataclass(frozen=True)
class Shape:
    """How one message class becomes an Avro record and back, and in which version it is written."""

    latest: WireVersion
    written: WireVersion
    to_record: Callable[[Any], Record]
    from_record: Callable[[Record], Any]


class Codec:
    """Reads every version ever released, and writes the one that ``written.json`` names, or else the latest."""

    def __init__(self, *packages: str) -> None:
        """Knows the messages of these schema packages, such as ``schemas``, and what operators say.

        Raises ValueError if a package is incomplete, or two claim the same message, schema or id.
        """
        self._upcasts: dict[tuple[str, int], Cast] = {}
        self._downcasts: dict[tuple[str, int], Cast] = {}
        self._by_id: dict[int, WireVersion] = {}
        self._versions: dict[Version, WireVersion] = {}
        self._shapes: dict[type[Message], Shape] = {}
        self._by_name: dict[str, Shape] = {}
        for name in dict.fromkeys((*packages, OPERATION)):
            self._add(SchemaPackage.load(name))

    def _add(self, package: SchemaPackage) -> None:
        for cls in package.classes:
            if cls.name in self._by_name:
                raise ValueError(f"{package.folder}: another package has a message {cls.name}")
        for version, schema_id in package.ids.items():
            if taken := self._by_id.get(schema_id):
                raise ValueError(
                    f"{package.folder}/ids.json: the id {schema_id} of {version} is taken by {taken.version}: "
                    "give the version that was not released yet another"
                )
            wire = _wire_version(package, version, schema_id)
            self._by_id[schema_id] = self._versions[version] = wire
        for cls in package.classes:
            latest = self._versions[Version.parse(cls.schema)]
            written = self._versions[package.written.get(cls.name, latest.version)]
            shape = Shape(latest, written, *converters(cls, latest.schema))
            self._shapes[cls] = self._by_name[cls.name] = shape
        self._upcasts |= package.upcasts
        self._downcasts |= package.downcasts

    def encode(self, message: Message) -> bytes:
        """The value of a message. Raises Poison if a field does not fit its schema.

        Raises Unrepresentable (which is Poison) if it is still written in an older version that cannot say it.
        """
        shape = self._shape(message)
        return self._encode(message, shape, shape.written)

    def encode_as(self, message: Message, version: str) -> bytes:
        """The value of a message in the version ``OrderCreated.v1``, whatever it is written in otherwise.

        Raises Unrepresentable if that version cannot say what the message says, Poison if a field does not fit its
        schema, and ValueError as :meth:`check_writes`.
        """
        return self._encode(message, self._shape(message), self._writable(type(message), version))

    def check_writes(self, cls: type[Message], version: str) -> None:
        """Raises ValueError if messages of this class cannot be written in that version, whatever they say."""
        self._writable(cls, version)

    def as_read(self, message: Message) -> Message:
        """The message as each reader of its value gets it, and as it is therefore to be folded.

        It is another one only while it is written in an older version: what that version cannot hold has its default.
        """
        shape = self._shape(message)
        return message if shape.written is shape.latest else self.decode_value(self.encode(message))

    def _shape(self, message: Message) -> Shape:
        shape = self._shapes.get(type(message))
        if shape is None:
            raise TypeError(
                f"{type(message).__module__}.{message.name} is in no schema package that this process was given"
            )
        return shape

    def _writable(self, cls: type[Message], text: str) -> WireVersion:
        version, latest = Version.parse(text), self._shapes[cls].latest.version
        wire = self._versions.get(version)
        if wire is None or version.name != cls.name:
            raise ValueError(f"{cls.name} has no version {text}: its latest is {latest}")
        if version.major != latest.major and (cls.name, version.major) not in self._downcasts:
            raise ValueError(
                f"{latest} cannot be written as {version}: the downcasts.py of its schema package "
                f"has no function for ({cls.name!r}, {version.major})"
            )
        return wire

    def _encode(self, message: Message, shape: Shape, wire: WireVersion) -> bytes:
        out = io.BytesIO()
        out.write(wire.prefix)
        try:
            record = shape.to_record(message)
            if wire is not shape.latest:
                record = self._downcast(record, shape.latest, wire)
            fastavro.schemaless_writer(out, wire.schema, record)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            try:
                check_fields(message)
            except TypeError as named:
                raise Poison(f"{message.name} does not fit its schema {message.schema}: {named}") from error
            kind = Poison if wire is shape.latest else Unrepresentable
            raise kind(f"{message.name} does not fit its schema {wire.version}: {error}") from error
        return out.getvalue()

    def _downcast(self, record: Record, latest: WireVersion, older: WireVersion) -> Record:
        """A record of the latest version as an older one says it. Raises Unrepresentable."""
        name, major, _ = older.version
        if major != latest.version.major:
            record = self._downcasts[name, major](record)
        if older.number is not None and record.get(NUMBER) == latest.number:
            record = {**record, NUMBER: older.number}
        return record

    def check_knows(self, classes: Iterable[type[Message]], for_whom: str) -> None:
        """Raises ValueError if one of these message classes is in none of the packages."""
        for cls in classes:
            if cls not in self._shapes:
                raise ValueError(
                    f"{for_whom} takes or sends {cls.__module__}.{cls.name}, which is in none of its "
                    "schema packages: name the package in Service(schemas=...)"
                )

    def record_of(self, message: Message) -> Record:
        """The fields of a message as its Avro record holds them, by their camelCase names."""
        return self._shapes[type(message)].to_record(message)

    def name_of(self, value: bytes | None) -> str:
        """The name of the message in a value, from its schema id alone; raises Poison, UnknownSchema among it."""
        return self._wire_version_of(value).version.name

    def _wire_version_of(self, value: bytes | None) -> WireVersion:
        if not value:
            raise Poison("empty value: a message needs an Avro body")
        if len(value) < 5 or value[0] != 0:
            raise Poison("not in the Confluent wire format: expected 0x00 and a 4-byte schema id")
        (schema_id,) = struct.unpack(">I", value[1:5])
        if schema_id not in self._by_id:
            raise UnknownSchema(
                f"unknown schema id {schema_id}: start code that knows it, then redrive what is parked for it "
                "(no schema package of this code has it)"
            )
        return self._by_id[schema_id]

    def decode_value(self, value: bytes | None) -> Message:
        """The message in a value of any released version; raises Poison."""
        writer = self._wire_version_of(value)
        assert value is not None
        shape = self._by_name[writer.version.name]
        body = io.BytesIO(value[5:])
        try:
            if writer is shape.latest:
                record = typing.cast(Record, fastavro.schemaless_reader(body, writer.schema, None))
            else:
                record = typing.cast(
                    Record, fastavro.schemaless_reader(body, writer.schema, shape.latest.schema)
                )
                if upcast := self._upcasts.get(writer.version[:2]):
                    record = upcast(record)
            message = typing.cast(Message, shape.from_record(record))
        except (
            Exception
        ) as error:  # fastavro raises whatever the bytes provoke, IndexError and EOFError among them
            raise Poison(
                f"the body is not {writer.version}: {type(error).__name__} {str(error)[:300]}"
            ) from error
        if body.read(1):
            raise Poison(f"bytes are left over after {writer.version}")
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
        told = Told(raw)
        identity = told.header("ce_id") or raw.coordinates
        return Envelope(
            message=message.stamp(told.time),
            id=identity,
            time=told.time,
            source=told.header("ce_source") or "",
            correlation_id=told.extension("correlationid") or identity,
            cause=told.extension("cause"),
            key_version=told.key_version,
            traceparent=told.header("traceparent"),
            topic=raw.topic,
            partition=raw.partition,
            offset=raw.offset,
            size=len(raw.value or b""),
            causation_id=told.extension("causationid"),
        )


def _wire_version(package: SchemaPackage, version: Version, schema_id: int) -> WireVersion:
    schema = package.schemas[version]
    try:
        parsed = fastavro.parse_schema(_plain(schema), named_schemas={})
        numbers = [field.get("default") for field in schema["fields"] if field["name"] == NUMBER]
    except (
        Exception
    ) as error:  # fastavro raises whatever the file provokes, KeyError and AttributeError among them
        raise ValueError(
            f"{package.folder}: the file of {version} is no Avro schema: {type(error).__name__} {error}"
        ) from error
    return WireVersion(version, parsed, b"\0" + struct.pack(">I", schema_id), numbers[0] if numbers else None)


def _plain(schema: Any) -> Any:
    """The schema without logical types: on the wire it is the same, and ints stay ints."""
    if isinstance(schema, dict):
        return {k: _plain(v) for k, v in schema.items() if k != "logicalType"}
    return [_plain(s) for s in schema] if isinstance(schema, list) else schema
