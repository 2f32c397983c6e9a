"""The Confluent wire format: a zero byte, a schema id of four bytes (big-endian), the Avro body.

The id says in which version of which message a value is written. Ids are pinned in the schema packages; a schema
registry may give others. A record under such an id names the version in a header too, so that no number is ever read
as another schema (docs/decisions/0027). Source: Confluent "Wire format"; CloudEvents 1.0.2, attribute ``dataschema``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import fastavro
import fastavro.schema

from eventbus.model.errors import Poison, UnknownSchema
from eventbus.model.limits import MAX_KEY
from eventbus.model.record import Headers
from eventbus.model.versions import Version
from eventbus.schema_package import SchemaPackage

NUMBER = "version"
"""The field of a body that holds the number of its version, if its schema gives it that as its default."""
DATASCHEMA = "ce_dataschema"
"""The header that names the version of a value whose schema id is not the pinned one."""
URN = "urn:avsc:"
"""What stands before the version there."""


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
    schema_headers: Headers
    """What each record of it carries: its name, unless the schema id is the pinned one."""


class WireVersions:
    """Every version that values are written in, by its id and by its name."""

    def __init__(self, given: Mapping[Version, int], find: Callable[[int], Version | None]) -> None:
        """``given``, ``find``: the ids and the question that :class:`~eventbus.codec.Codec` is given."""
        self._given, self._find = given, find
        self._by_id: dict[int, WireVersion] = {}
        self.versions: dict[Version, WireVersion] = {}
        """As they are written from now on."""

    def add(self, package: SchemaPackage) -> None:
        """Know the versions of a package. Raises ValueError if an id is taken, or a schema is none."""
        for version, pinned in package.ids.items():
            wire = _wire_version(package, version, pinned)
            self._take(
                wire,
                pinned,
                f"{package.folder}/ids.json",
                "give the version that was not released yet another",
            )
            given = self._given.get(version, pinned)
            if given != pinned:
                headers: Headers = [(DATASCHEMA, f"{URN}{version}".encode())]
                wire = replace(wire, prefix=_prefix(given), schema_headers=headers)
                self._take(wire, given, "the schema registry", "use one that was filled with the pinned ids")
            self.versions[version] = wire

    def _take(self, wire: WireVersion, schema_id: int, where: str, remedy: str) -> None:
        if taken := self._by_id.get(schema_id):
            raise ValueError(
                f"{where}: the id {schema_id} of {wire.version} is taken by {taken.version}: {remedy}"
            )
        self._by_id[schema_id] = wire

    def of(self, value: bytes | None, named: str | None = None) -> WireVersion:
        """The version that a value is written in. ``named``: the text of the header, if there is one.

        Raises Poison; UnknownSchema among it, if newer code or another registry may know the version.
        """
        if not value:
            raise Poison("empty value: a message needs an Avro body")
        if len(value) < 5 or value[0] != 0:
            raise Poison("not in the Confluent wire format: expected 0x00 and a 4-byte schema id")
        schema_id = int.from_bytes(value[1:5], "big")
        known = self._by_id.get(schema_id)
        if named and named.startswith(URN):
            return self._agreed(schema_id, known, named.removeprefix(URN))
        if known is None and (version := self._find(schema_id)):
            known = self._by_id[schema_id] = self.versions[version]
        return known or _unknown(f"schema id {schema_id}")

    def _agreed(self, schema_id: int, known: WireVersion | None, named: str) -> WireVersion:
        """The version that the header means, and the id too where it is known here."""
        if known is not None and str(known.version) != named:
            raise UnknownSchema(
                f"the record is written in {named[:MAX_KEY]} under the schema id {schema_id}, which is the id of "
                f"{known.version} here: was the schema registry set up anew? Use one with the ids of before, or "
                "unset SCHEMA_REGISTRY_URL; then redrive what is parked for it"
            )
        try:
            return known or self.versions[Version.parse(named)]
        except (ValueError, KeyError):
            _unknown(f"schema {named[:MAX_KEY]}")


def _unknown(what: str) -> NoReturn:
    raise UnknownSchema(
        f"unknown {what}: start code that knows it, then redrive what is parked for it "
        "(no schema package of this code has it)"
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
    return WireVersion(version, parsed, _prefix(schema_id), numbers[0] if numbers else None, [])


def _prefix(schema_id: int) -> bytes:
    return b"\0" + struct.pack(">I", schema_id)


def canonical_form(schema: Any) -> str:
    """What of an Avro schema decides how bytes are read: its Parsing Canonical Form. Raises ValueError.

    Source: Avro 1.11 "Transforming into Parsing Canonical Form".
    """
    try:
        return str(fastavro.schema.to_parsing_canonical_form(schema))
    except (
        Exception
    ) as error:  # fastavro raises whatever the schema provokes, KeyError and RecursionError among them
        raise ValueError(f"no Avro schema: {type(error).__name__} {str(error)[:300]}") from error


def _plain(schema: Any) -> Any:
    """The schema without logical types: on the wire it is the same, and ints stay ints."""
    if isinstance(schema, dict):
        return {k: _plain(v) for k, v in schema.items() if k != "logicalType"}
    return [_plain(s) for s in schema] if isinstance(schema, list) else schema
