"""A record as the broker gave it."""

from __future__ import annotations

from typing import NamedTuple

from eventbus.model.once import once
from eventbus.model.places import Position

Headers = list[tuple[str, bytes | None]]

LATEST = 253_402_300_799_999
"""The last ms of the year 9999: a later time cannot be written as a date."""


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
    flaw: str = ""
    """What of it the client cannot hand out, and why; empty for a sound record."""


class Raw(_Record):
    """A record as the broker gave it. ``topic`` is without prefix, ``timestamp`` in ms since epoch.

    What is asked of it often is computed once: nobody changes a record, its list of headers neither.
    """

    @once
    def named(self) -> dict[str, bytes]:
        """By name, the last header that has a value."""
        return {name: value for name, value in self.headers if value is not None}

    @once
    def coordinates(self) -> str:
        """Where it stands, as ``order.events-5-17``."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    def header(self, name: str) -> str | None:
        """The last header of that name as text."""
        value = self.named.get(name)
        return None if value is None else value.decode("utf-8", "replace")

    def extension(self, name: str) -> str | None:
        """The CloudEvents extension ``name`` as text: the header ``name``, or ``ce_name`` if there is none.

        Where a record has both, the old name (without ``ce_``) decides: code that knows only that one judges the
        record in the same way.
        """
        old = self.header(name)
        return self.header(f"ce_{name}") if old is None else old

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes of a record: its key, its value and its headers."""
    size = len(key or b"") + len(value or b"")
    for name, text in headers:
        size += len(name) + len(text or b"")
    return size
