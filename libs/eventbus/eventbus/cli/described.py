"""One record as ``eventbus tail`` and ``eventbus decode`` show it: a JSON object, or a line to read."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from typing import Any

from eventbus.codec import Codec
from eventbus.headers import rfc3339
from eventbus.kafka.records import partition_of
from eventbus.model.errors import Poison
from eventbus.model.messages import Envelope
from eventbus.model.record import Raw
from eventbus.retry.dead_letter import dead_letter
from eventbus.retry.parked import NewerFormat, Parked
from eventbus.visible import visible, visible_json
from eventbus.wire_format import DATASCHEMA

FAILED = (".retry", ".dlq")
"""How the names of the topics end that hold messages which failed."""
SHOWN = 200
"""Bytes of a value that is no message which a line shows."""


@dataclass(frozen=True)
class Described:
    """A record with the message in it. ``raw`` is the record; ``original`` the one that failed, else the same."""

    raw: Raw
    original: Raw
    type: str
    """The name of its message; empty if neither its header nor its schema says it."""
    schema: str
    """The version in which it was written, as ``OrderCreated.v2``; empty if its schema is not known here."""
    message: dict[str, Any] | None
    envelope: Envelope | None
    problem: str
    """Why there is no message, or why a service would refuse it; empty if it is sound."""
    failed: dict[str, Any] = field(default_factory=dict)
    """Of a retry or a dead letter: how it waits, and why."""

    @property
    def key(self) -> str | None:
        """The key that the message is about."""
        key = self.original.key
        return None if key is None else key.decode("utf-8", "backslashreplace")

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs. ``base64`` holds the value where it is no message."""
        raw, envelope, value = self.raw, self.envelope, self.original.value
        shown: dict[str, Any] = {
            "topic": raw.topic,
            "partition": raw.partition,
            "offset": raw.offset,
            "written": rfc3339(raw.timestamp),
            "key": self.key,
            "type": self.type or None,
            "schema": self.schema or None,
            "schemaId": _schema_id(value),
            "message": self.message,
        }
        if envelope is not None:
            shown |= {
                "id": envelope.id,
                "source": envelope.source,
                "correlationId": envelope.correlation_id,
                "causationId": envelope.causation_id,
                "cause": envelope.cause,
                "keyVersion": envelope.key_version,
                "author": envelope.author and envelope.author._asdict(),
            }
        if self.problem:
            shown["problem"] = self.problem
        if self.message is None and value is not None:
            shown["base64"] = base64.b64encode(value).decode()
        if self.failed:
            shown["failed"] = self.failed
        shown["headers"] = [
            {"name": name, "value": None if text is None else text.decode("utf-8", "backslashreplace")}
            for name, text in self.original.headers
        ]
        return shown

    def line(self) -> str:
        """One line for people: where it stands, when it was written, what it is, its key, and its content."""
        said = [self.raw.coordinates, rfc3339(self.raw.timestamp)]
        if self.failed:
            said.append(self.failed["state"])
        said += [self.schema or self.type or "?", "-" if self.key is None else self.key]
        if self.failed:
            due = f", due {self.failed['due']}" if self.failed["due"] else ""
            tries = f"{self.failed['attempts']} {'try' if self.failed['attempts'] == 1 else 'tries'}"
            said.append(f"({tries} of {self.failed['record']}{due})")
            said.append(self.failed["error"].partition("\n")[0])
        if self.problem and self.problem not in self.failed.get("error", ""):
            said.append(f"[{self.problem}]")
        said.append(self._content())
        return visible(" ".join(part for part in said if part))

    def _content(self) -> str:
        value = self.original.value
        if self.message is not None:
            return visible_json(self.message, indent=None)
        if value is None:
            return "(no value)"
        return repr(value[:SHOWN])[1:] + ("…" if len(value) > SHOWN else "") if value else ""


def described(codec: Codec, raw: Raw, partitions: int | None = None) -> Described:
    """A record of any topic. ``partitions``: how many its topic has; None leaves its partition unchecked."""
    original, failed, unknown = _failed(raw)
    envelope, message, problem = _decoded(codec, original, bool(failed))
    problem = unknown or problem
    if envelope is not None and partitions and not raw.topic.endswith(FAILED):
        right = partition_of(raw.key or b"", partitions)
        if right != raw.partition:
            problem = f"its key belongs to partition {right} (murmur2)"
    name, schema = original.header("ce_type") or "", ""
    try:
        named = original.header(DATASCHEMA)
        name, schema = codec.name_of(original.value, named), codec.version_of(original.value, named)
    except Poison:
        pass
    return Described(raw, original, name, schema, message, envelope, problem, failed)


def _decoded(codec: Codec, raw: Raw, has_failed: bool) -> tuple[Envelope | None, dict[str, Any] | None, str]:
    if not raw.value and (has_failed or raw.value is None):
        return None, None, raw.flaw
    try:
        envelope = codec.decode(raw)
        return envelope, codec.record_of(envelope.message), ""
    except Poison as error:
        problem = str(error)
    try:
        return None, codec.record_of(codec.decode_value(raw.value, raw.header(DATASCHEMA))), problem
    except Poison:
        return None, None, problem


def _failed(raw: Raw) -> tuple[Raw, dict[str, Any], str]:
    """The message that failed, and what is said of it; the record itself, and nothing, if it is no such record.

    The last says why this code cannot tell.
    """
    if not raw.topic.endswith(FAILED):
        return raw, {}, ""
    is_retry = raw.topic.endswith(".retry")
    try:
        parked = Parked.from_record(raw) if is_retry else dead_letter(raw)
    except NewerFormat as error:
        return raw, {}, f"newer code wrote this: {error}"
    except (KeyError, ValueError):
        return raw, {}, ""
    about = {
        "state": parked.state.value if is_retry else "DEAD LETTER",
        "record": parked.raw.coordinates,
        "attempts": parked.attempt,
        "since": rfc3339(parked.since),
        "due": rfc3339(parked.due) if parked.due else None,
        "events": list(parked.events),
        "error": f"{parked.exception}: {parked.message}" if parked.exception else "",
    }
    return parked.raw, about, ""


def _schema_id(value: bytes | None) -> int | None:
    if not value or len(value) < 5 or value[0]:
        return None
    return int(struct.unpack(">I", value[1:5])[0])
