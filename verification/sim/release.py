"""Releases of the code, side by side: some messages get a new version, and replicas are upgraded one by one.

A replica of the code before cannot read what newer code writes of these messages. Which release each replica runs is
a matter of chance, in any order and back again, until the simulation is healed.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from eventbus.codec import Codec
from eventbus.model.errors import UnknownSchema
from eventbus.model.messages import Message
from eventbus.model.record import Headers

NEW = b"new:"
"""How a value in a new version begins, in place of its schema id."""
NOBODYS = b"nobody's:"
"""How a value begins that no release can read."""


LATER_HEADERS = frozenset({"ce_correlationid", "ce_cause", "ce_keyversion", "ce_causationid"})
"""What the release before neither writes nor reads: it has the same headers without ``ce_``. It writes all messages
that it sends to itself, too."""


class Release(StrEnum):
    """What a replica's code does with the messages that have a new version."""

    BEFORE = "neither reads nor writes it"
    READS = "reads it"
    WRITES = "reads and writes it"

    @property
    def hidden(self) -> frozenset[str]:
        """The headers that its code does not know."""
        return LATER_HEADERS if self is Release.BEFORE else frozenset()


class ReleasedCodec(Codec):
    """The wire format as one release knows it. ``evolved``: the names of the messages with a new version."""

    def __init__(self, codec: Codec, evolved: Collection[str], release: Release) -> None:
        self._codec, self._evolved, self._release = codec, evolved, release

    def encode(self, message: Message) -> bytes:
        value = self._codec.encode(message)
        is_new = self._release is Release.WRITES and message.name in self._evolved
        return NEW + value if is_new else value

    def as_read(self, message: Message, value: bytes) -> Message:
        return self._codec.as_read(message, value.removeprefix(NEW))

    def schema_headers(self, value: bytes) -> Headers:
        return []

    def name_of(self, value: bytes | None, named: str | None = None) -> str:
        return self._codec.name_of(self._body(value), named)

    def decode_value(self, value: bytes | None, named: str | None = None) -> Message:
        return self._codec.decode_value(self._body(value), named)

    def _body(self, value: bytes | None) -> bytes | None:
        if value is None or not value.startswith((NEW, NOBODYS)):
            return value
        if value.startswith(NOBODYS) or self._release is Release.BEFORE:
            raise UnknownSchema(f"unknown schema {value[:20]!r}")
        return value.removeprefix(NEW)
