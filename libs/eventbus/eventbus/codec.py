"""Avro in the Confluent wire format, with CloudEvents 1.0 headers (Kafka binding, binary mode).

A value is ``0x00``, a 4-byte big-endian schema id, and the Avro body. Schemas, their pinned ids and the upcasts
lie beside the module of the message classes: for all services that is the package ``schemas``. Timestamps travel
as ``timestamp-millis`` and are plain ``int`` in Python.
Source: Confluent "Wire format"; CloudEvents "Kafka Protocol Binding" 1.0.2; W3C Trace Context.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import struct
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from eventbus.errors import Poison
from eventbus.limits import MAX_COPIED, MAX_KEY
from eventbus.messages import Envelope, Message, Position, message_class, message_classes, whole_number

Headers = list[tuple[str, bytes | None]]
Record = dict[str, Any]
COPIED = ("ce_id", "correlationid", "traceparent")
"""The headers that are copied to whatever a message leads to."""
LATEST = 253_402_300_799_999
"""The last ms of the year 9999: a later time cannot be written as a date."""


class Raw(NamedTuple):
    """A record as the broker gave it. ``topic`` is without prefix, ``timestamp`` in ms since epoch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
    flaw: str = ""
    """What of it the client cannot hand out, and why; empty for a sound record."""

    def header(self, name: str) -> str | None:
        """The last header of that name as text."""
        found = None
        for key, value in self.headers:
            if key == name and value is not None:
                found = value
        return None if found is None else found.decode("utf-8", "replace")

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)

    @property
    def coordinates(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True)
class Shape:
    """How one message class becomes an Avro record and back."""

    cls: type[Message]
    schema: Any
    schema_id: int
    to_record: Callable[[Any], Record]
    from_record: Callable[[Record], Any]


class SchemaMissing(ValueError):
    """A message class without an id in ``ids.json``, or an id without its one schema file."""


class Codec:
    """Writes with the newest version of a schema and reads every version ever released."""

    def __init__(self, package: str = "schemas") -> None:
        """Knows the messages of ``package``, and those bound elsewhere with an ``ids.json`` beside their module.

        Raises ValueError if two folders claim the same schema or id, and SchemaMissing.
        """
        importlib.import_module(package)
        classes = {cls: folder for cls in message_classes() if (folder := _schema_folder(cls))}
        self._upcasts: dict[tuple[str, int], Callable[[Record], Record]] = {}
        self._written: dict[int, tuple[str, int, Any]] = {}
        parsed: dict[str, Any] = {}
        ids: dict[str, int] = {}
        for folder, owner in {folder: cls.__module__ for cls, folder in classes.items()}.items():
            for full, schema_id in json.loads((folder / "ids.json").read_text()).items():
                if full in ids or schema_id in self._written:
                    raise ValueError(f"{folder}/ids.json: {full} or its id {schema_id} is taken elsewhere")
                path = _schema_file(folder, full)
                name, version = full.rsplit(".v", 1)
                parsed[full] = fastavro.parse_schema(_plain(json.loads(path.read_text())), named_schemas={})
                self._written[schema_id] = (name, int(version), parsed[full])
                ids[full] = schema_id
            if (folder / "upcasts.py").exists():
                self._upcasts |= importlib.import_module(f"{owner.rpartition('.')[0]}.upcasts").UPCASTS
        for cls, folder in classes.items():
            if cls.schema not in ids:
                raise SchemaMissing(
                    f"{cls.__module__}.{cls.__name__} is written as {cls.schema}, which has no id in "
                    f"{folder / 'ids.json'}: add the id there, or generate the message classes again"
                )
        self._shapes = {
            cls: Shape(cls, parsed[cls.schema], ids[cls.schema], *_converters(cls, parsed[cls.schema]))
            for cls in classes
        }

    def encode(self, message: Message) -> bytes:
        """The value of a message; raises Poison if a field does not fit its schema."""
        shape = self._shapes.get(type(message))
        if shape is None:
            raise TypeError(
                f"{message.schema} has no schema: is it in the ids.json beside {type(message).__module__}?"
            )
        out = io.BytesIO()
        out.write(b"\0" + struct.pack(">I", shape.schema_id))
        try:
            fastavro.schemaless_writer(out, shape.schema, shape.to_record(message))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Poison(f"{message.name} does not fit its schema {message.schema}: {error}") from error
        return out.getvalue()

    def record_of(self, message: Message) -> Record:
        """The fields of a message as its Avro record holds them, by their camelCase names."""
        return self._shapes[type(message)].to_record(message)

    def name_of(self, value: bytes | None) -> str:
        """The name of the message in a value, from its schema id alone; raises Poison."""
        return self._writer(value)[1]

    def _writer(self, value: bytes | None) -> tuple[int, str, int, Any]:
        if not value:
            raise Poison("empty value: a message needs an Avro body")
        if len(value) < 5 or value[0] != 0:
            raise Poison("not in the Confluent wire format: expected 0x00 and a 4-byte schema id")
        (schema_id,) = struct.unpack(">I", value[1:5])
        if schema_id not in self._written:
            raise Poison(f"unknown schema id {schema_id}: it is not in schemas/ids.json")
        return schema_id, *self._written[schema_id]

    def decode_value(self, value: bytes | None) -> Message:
        """The message in a value of any released version; raises Poison."""
        schema_id, name, version, writer = self._writer(value)
        assert value is not None
        shape = self._shapes[message_class(name)]
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


def _schema_file(folder: Path, full: str) -> Path:
    """The file of a schema that ``ids.json`` names, as ``<Name>.v<N>``; raises SchemaMissing."""
    found = sorted(folder.glob(f"*/{full}.avsc"))
    if len(found) == 1:
        return found[0]
    among = ", ".join(map(str, found)) or "none is there"
    raise SchemaMissing(
        f"{folder / 'ids.json'} names {full}, so there must be one file {folder}/<topic>/{full}.avsc, "
        f"but {among}: restore a file that was released, or take an id that was never used out of ids.json"
    )


def _schema_folder(cls: type[Message]) -> Path | None:
    """The folder of the module that binds a message class, if it holds schemas."""
    module = sys.modules.get(cls.__module__)
    folder = Path(str(getattr(module, "__file__", ""))).parent
    return folder if (folder / "ids.json").exists() else None


def headers_of(envelope: Envelope) -> Headers:
    """The headers a message travels with."""
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.message.name.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", rfc3339(envelope.time).encode()),
        ("ce_subject", envelope.message.key.encode()),
        ("content-type", b"application/avro"),
        ("correlationid", envelope.correlation_id.encode()),
    ]
    if envelope.cause is not None:
        headers.append(("cause", envelope.cause.encode()))
    if envelope.key_version is not None:
        headers.append(("keyversion", str(envelope.key_version).encode()))
    if envelope.traceparent:
        headers.append(("traceparent", envelope.traceparent.encode()))
    return headers


def rfc3339(millis: int) -> str:
    """ms since epoch as RFC 3339 text in UTC."""
    return (
        datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes of a record: its key, its value and its headers."""
    told = sum(len(name) + len(text or b"") for name, text in headers)
    return len(key or b"") + len(value or b"") + told


def left_out(raw: Raw) -> list[str]:
    """The headers of a record that would be copied on, but are too long for that."""
    return [name for name, value in raw.headers if name in COPIED and value and not _short(name, value)]


def _short(name: str, value: bytes) -> str:
    """A header as text; empty if it is longer than such a header may be (a character has at most four bytes)."""
    most = MAX_COPIED if name in COPIED else MAX_KEY
    text = value.decode("utf-8", "replace") if len(value) <= 4 * most else ""
    return text if len(text) <= most else ""


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else whole_number(text)
    except ValueError:
        return None


def _millis(text: str | None, default: int) -> int:
    """The time in a header, ms since epoch; ``default`` where it says none between 1970 and 9999."""
    default = default if 0 <= default <= LATEST else 0
    if not text:
        return default
    try:
        time = round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return default
    return time if 0 <= time <= LATEST else default


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
