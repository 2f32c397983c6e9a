"""Avro in the Confluent wire format, with CloudEvents 1.0 headers (Kafka binding, binary mode).

A value is ``0x00``, a 4-byte big-endian schema id, and the Avro body. Timestamps travel as ``timestamp-millis`` and
are plain ``int`` in Python.
Source: Confluent "Wire format"; CloudEvents "Kafka Protocol Binding" 1.0.2; W3C Trace Context.
"""

from __future__ import annotations

import io
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import fastavro
import msgspec

from eventbus.bodies import Write, plain_body
from eventbus.converters import converters
from eventbus.headers import Told
from eventbus.model.errors import Poison, Unrepresentable
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Headers, Raw
from eventbus.model.rules import check_fields
from eventbus.model.versions import Version
from eventbus.schema_package import Cast, Record, SchemaPackage
from eventbus.wire_format import DATASCHEMA, NUMBER, WireVersion, WireVersions

OPERATION = "eventbus.admin"
"""The schema package of what operators say. Every process knows it."""


@dataclass(frozen=True)
class Shape:
    """How one message class becomes an Avro record and back, and in which version it is written."""

    latest: WireVersion
    written: WireVersion
    to_record: Callable[[Any], Record]
    from_record: Callable[[Record], Any]
    write: Write | None
    """What writes a body of the latest version; None if fastavro does, since not all fields are plain."""
    read_as: Any
    """The schema of the latest version, parsed, with names of fields that :attr:`read` takes."""
    read: Callable[[Record], Any]

    @classmethod
    def of(cls, message: type[Message], latest: WireVersion, written: WireVersion) -> Shape:
        """Raises TypeError if the class and the schema of its latest version do not have the same fields."""
        to_record, from_record = converters(message, latest.schema)
        plain = plain_body(message, latest.schema)
        if plain is None:
            return cls(latest, written, to_record, from_record, None, latest.schema, from_record)
        read_as = fastavro.parse_schema(plain.schema, named_schemas={})
        read = partial(msgspec.convert, type=message)
        return cls(latest, written, to_record, from_record, plain.write, read_as, read)


def load_packages(names: Iterable[str]) -> list[SchemaPackage]:
    """These schema packages, and the one of what operators say. Raises ValueError if one is incomplete."""
    return [SchemaPackage.load(name) for name in dict.fromkeys((*names, OPERATION))]


class Codec:
    """Reads every version ever released, and writes the latest, or the one that is said to be written still."""

    def __init__(
        self,
        *packages: str,
        ids: Mapping[Version, int] | None = None,
        find: Callable[[int], Version | None] = lambda schema_id: None,
        write_as: Iterable[str] = (),
    ) -> None:
        """Knows the messages of these schema packages, such as ``schemas``, and what operators say.

        ``ids``: what a schema registry gives to versions. They are written under these ids then, and read under both.
        ``find``: asks the registry which version another id stands for; it must answer soon.
        ``write_as``: versions that are written instead of what ``written.json`` says, such as ``OrderCreated.v2``.
        Raises ValueError if a package is incomplete, or two claim the same message, schema or id.
        """
        self._wire = WireVersions(ids or {}, find)
        self._upcasts: dict[tuple[str, int], Cast] = {}
        self._downcasts: dict[tuple[str, int], Cast] = {}
        self._shapes: dict[type[Message], Shape] = {}
        self._by_name: dict[str, Shape] = {}
        for package in load_packages(packages):
            self._add(package)
        for version in write_as:
            self._hold(version)

    def _add(self, package: SchemaPackage) -> None:
        for cls in package.classes:
            if cls.name in self._by_name:
                raise ValueError(f"{package.folder}: another package has a message {cls.name}")
        self._wire.add(package)
        for cls in package.classes:
            latest = self._wire.versions[Version.parse(cls.schema)]
            written = self._wire.versions[package.written.get(cls.name, latest.version)]
            self._shapes[cls] = self._by_name[cls.name] = Shape.of(cls, latest, written)
        self._upcasts |= package.upcasts
        self._downcasts |= package.downcasts

    def _hold(self, text: str) -> None:
        name = Version.parse(text).name
        if name not in self._by_name:
            raise ValueError(f"{text} is to be written, but no schema package has a message {name}")
        cls = next(cls for cls in self._shapes if cls.name == name)
        held = replace(self._shapes[cls], written=self._writable(cls, text))
        self._shapes[cls] = self._by_name[name] = held

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

    def as_read(self, message: Message, value: bytes) -> Message:
        """The message as each reader gets it, and as it is therefore to be folded. ``value``: what it was encoded to.

        It is another one only while it is written in an older version: what that version cannot hold has its default.
        """
        shape = self._shape(message)
        return message if shape.written is shape.latest else self.decode_value(value)

    def _shape(self, message: Message) -> Shape:
        shape = self._shapes.get(type(message))
        if shape is None:
            raise TypeError(
                f"{type(message).__module__}.{message.name} is in no schema package that this process was given"
            )
        return shape

    def _writable(self, cls: type[Message], text: str) -> WireVersion:
        version, latest = Version.parse(text), self._shapes[cls].latest.version
        wire = self._wire.versions.get(version)
        if wire is None or version.name != cls.name:
            raise ValueError(f"{cls.name} has no version {text}: its latest is {latest}")
        if version.major != latest.major and (cls.name, version.major) not in self._downcasts:
            raise ValueError(
                f"{latest} cannot be written as {version}: the downcasts.py of its schema package "
                f"has no function for ({cls.name!r}, {version.major})"
            )
        return wire

    def _encode(self, message: Message, shape: Shape, wire: WireVersion) -> bytes:
        try:
            if wire is shape.latest and shape.write:
                return wire.prefix + shape.write(message)
            return wire.prefix + self._body_of_record(message, shape, wire)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            try:
                check_fields(message)
            except TypeError as named:
                raise Poison(f"{message.name} does not fit its schema {message.schema}: {named}") from error
            kind = Poison if wire is shape.latest else Unrepresentable
            raise kind(f"{message.name} does not fit its schema {wire.version}: {error}") from error

    def _body_of_record(self, message: Message, shape: Shape, wire: WireVersion) -> bytes:
        # Fastavro takes 1.5 for 1, True for 1, anything for a truth value and a text for an array. Fields that an
        # older version does not have are checked too.
        check_fields(message)
        record = shape.to_record(message)
        if wire is not shape.latest:
            record = self._downcast(record, shape.latest, wire)
        out = io.BytesIO()
        fastavro.schemaless_writer(out, wire.schema, record)
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

    def classes(self) -> tuple[type[Message], ...]:
        """The class of every message it knows."""
        return tuple(self._shapes)

    def schema_of(self, cls: type[Message]) -> Any:
        """The Avro schema of a message class, as parsed JSON, without logical types."""
        return self._shapes[cls].latest.schema

    def from_record(self, cls: type[Message], record: Record) -> Message:
        """The inverse of :meth:`record_of`, for a record that has all fields of the schema."""
        return typing.cast(Message, self._shapes[cls].from_record(record))

    def name_of(self, value: bytes | None, named: str | None = None) -> str:
        """The name of the message in a value, without reading the body. Raises Poison, UnknownSchema among it.

        ``named``: as in :meth:`decode_value`.
        """
        return self._wire.of(value, named).version.name

    def version_of(self, value: bytes | None, named: str | None = None) -> str:
        """The version of the message in a value, as ``OrderCreated.v2``, without reading the body; raises Poison."""
        return str(self._wire.of(value, named).version)

    def schema_headers(self, value: bytes) -> Headers:
        """The headers that a value written by this codec travels with, beside those of its envelope."""
        return self._wire.of(value).schema_headers

    def decode_value(self, value: bytes | None, named: str | None = None) -> Message:
        """The message in a value of any released version; raises Poison.

        ``named``: the text of the record's header ``ce_dataschema``, if there is one.
        """
        writer = self._wire.of(value, named)
        assert value is not None
        shape = self._by_name[writer.version.name]
        body = io.BytesIO(value[5:])
        try:
            if writer.version == shape.latest.version:
                message = shape.read(
                    typing.cast(Record, fastavro.schemaless_reader(body, shape.read_as, None))
                )
            else:
                record = typing.cast(
                    Record, fastavro.schemaless_reader(body, writer.schema, shape.latest.schema)
                )
                if upcast := self._upcasts.get(writer.version[:2]):
                    record = upcast(record)
                message = shape.from_record(record)
        except (
            Exception
        ) as error:  # fastavro raises whatever the bytes provoke, IndexError and EOFError among them
            raise Poison(
                f"the body is not {writer.version}: {type(error).__name__} {str(error)[:300]}"
            ) from error
        if body.read(1):
            raise Poison(f"bytes are left over after {writer.version}")
        return typing.cast(Message, message)

    def decode(self, raw: Raw) -> Envelope:
        """A record as a message with its envelope; raises Poison.

        Headers may be absent, and a ``timestamp`` may be 0: then the record's own time serves. A header that says
        nothing usable (a number out of range, a date that is none, a text too long to be copied on) counts as absent.
        """
        if raw.flaw:
            raise Poison(raw.flaw)
        if raw.key is not None and len(raw.key) > MAX_KEY:
            raise Poison(f"the key has {len(raw.key)} bytes, more than {MAX_KEY}")
        told = Told(raw)
        message = self.decode_value(raw.value, told.header(DATASCHEMA))
        # Compared as bytes: two keys that are no text may look the same once decoded.
        if raw.key != message.key.encode():
            raise Poison(
                f"the record's key {raw.key!r} is not the {message.key_field} "
                f"{message.key[:MAX_KEY]!r} of its body"
            )
        time, identity = told.time, told.header("ce_id") or raw.coordinates
        return Envelope(
            message=message.stamp(time),
            id=identity,
            time=time,
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
            author=told.author,
        )
