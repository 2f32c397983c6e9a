"""A record as the broker gave it."""

from __future__ import annotations

from typing import NamedTuple

from eventbus.model.places import Position

Headers = list[tuple[str, bytes | None]]

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
    def coordinates(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes of a record: its key, its value and its headers."""
    of_headers = sum(len(name) + len(text or b"") for name, text in headers)
    return len(key or b"") + len(value or b"") + of_headers
