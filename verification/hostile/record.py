"""A record as it is to be written, down to the bytes of its header names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

MARK = (b"x-hostile", b"1")
"""A header of every hostile record that may carry one, so that reports can tell it."""

Header = tuple[bytes, bytes | None]


@dataclass(frozen=True)
class Hostile:
    """``kind`` names what is wrong; ``topic`` is without prefix; ``compression`` is librdkafka's name of a codec."""

    kind: str
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    compression: str = "none"

    def but(self, **changes: Any) -> Hostile:
        """The same with some fields changed."""
        return replace(self, **changes)

    def having(self, *headers: Header) -> Hostile:
        """The same with these headers in place of those of the same names."""
        names = {name for name, _ in headers}
        return self.but(headers=(*(h for h in self.headers if h[0] not in names), *headers))

    def __str__(self) -> str:
        return f"{self.kind} in {self.topic}"
