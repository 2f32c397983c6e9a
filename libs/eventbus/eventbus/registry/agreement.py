"""Which ids a registry and the files of this process agree on; a number never means two schemas.

Values under pinned ids stay in the logs for ever, so a registry may not give one of these numbers to another schema:

    under the pinned id the registry has    then
    the schema itself                       the pinned id is used: nothing changes on the wire
    nothing                                 the id under which its subject has the schema, or gets it, is used
    another schema                          Misconfigured: nothing is registered or written

An id that the registry gives is refused too if it is pinned to another version, or was given to another.
A subject is the full name of a record (Confluent's RecordNameStrategy): several types share a topic here, and one
type may stand in several topics.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eventbus.model.errors import Misconfigured
from eventbus.model.versions import Version
from eventbus.registry.api import RegistryApi
from eventbus.schema_package import SchemaPackage
from eventbus.wire_format import canonical_form

SHOWN = 200
REMEDY = (
    "Values under pinned ids stay in the logs, so a number must not mean two schemas. Use a registry of your own, or "
    "a context of its own in this one (SCHEMA_REGISTRY_URL=https://…/contexts/.orders), and fill it with the pinned "
    "ids first: make schema-register"
)


@dataclass(frozen=True)
class Entry:
    """What the files say of one version. ``form``: its :func:`~eventbus.wire_format.canonical_form`."""

    version: Version
    pinned: int
    subject: str
    text: str
    form: str


def entries(packages: Iterable[SchemaPackage]) -> list[Entry]:
    """All versions of these packages, in the order of their pinned ids. Raises ValueError."""
    found = []
    for package in packages:
        for version, pinned in package.ids.items():
            schema = package.schemas[version]
            namespace = f"{schema['namespace']}." if schema.get("namespace") else ""
            text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
            found.append(Entry(version, pinned, namespace + version.name, text, canonical_form(schema)))
    return sorted(found, key=lambda entry: entry.pinned)


def same(entry: Entry, schema: str) -> bool:
    """Whether the registry's schema reads bytes as ours does. Its documentation and defaults may differ."""
    try:
        return canonical_form(json.loads(schema)) == entry.form
    except (ValueError, RecursionError):
        return False


async def agree(api: RegistryApi, wanted: Sequence[Entry], *, may_register: bool) -> dict[Version, int]:
    """The id of each version that is written from now on. Raises Retryable and Misconfigured."""
    absent = [entry for entry in wanted if not await pinned_there(api, entry)]
    given = {entry.version: entry.pinned for entry in wanted if entry not in absent}
    owners = {entry.pinned: entry.version for entry in wanted}
    for entry in absent:
        schema_id = await _given(api, entry, owners, may_register)
        owner = owners.setdefault(schema_id, entry.version)
        if owner != entry.version:
            raise Misconfigured(
                f"{api.url} has {entry.version} under the id {schema_id}, which is that of {owner}. {REMEDY}"
            )
        given[entry.version] = schema_id
    return given


async def pinned_there(api: RegistryApi, entry: Entry) -> bool:
    """Whether the registry has a version under its pinned id. Raises Misconfigured if it has another schema there."""
    schema = await api.schema(entry.pinned)
    if schema is not None and not same(entry, schema):
        raise Misconfigured(
            f"{api.url} has another schema under the id {entry.pinned}, which is pinned to {entry.version}: "
            f"{schema[:SHOWN]}. {REMEDY}"
        )
    return schema is not None


async def _given(api: RegistryApi, entry: Entry, owners: Mapping[int, Version], may_register: bool) -> int:
    """The id under which the registry has a version, or takes it in. What it claims is checked."""
    for schema_id, schema in await api.registered(entry.subject):
        # Two versions may differ in a default only: then the id of the one is not free for the other.
        if same(entry, schema) and owners.get(schema_id, entry.version) == entry.version:
            return await _checked(api, entry, schema_id)
    if not may_register:
        raise Misconfigured(
            f"{api.url} has no {entry.version} under the subject {entry.subject}: run make schema-register, or let "
            "services register (SCHEMA_REGISTRY_AUTO_REGISTER)"
        )
    return await _checked(api, entry, await api.register(entry.subject, entry.text))


async def _checked(api: RegistryApi, entry: Entry, schema_id: int) -> int:
    schema = await api.schema(schema_id)
    if schema is None or not same(entry, schema):
        raise Misconfigured(
            f"{api.url} gives {schema_id} as the id of {entry.version} (subject {entry.subject}), but has "
            f"{'nothing' if schema is None else f'another schema: {schema[:SHOWN]}'} under that id"
        )
    return schema_id
