"""How large records may be, and how much an HTTP connection may take.

Sizes of records are bytes of key, headers and value together, uncompressed.

They grow along the way: a command < an event < an input that may have to wait < a dead letter.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_KEY = 1_000
"""Bytes of a key: it stands in the key, in a header and in the body of every message about its entity."""
MAX_COPIED = 200
"""Characters of a header that is copied to whatever a message leads to; a longer one is left out."""
MAX_LETTER = 8_000_000
"""Bytes of a dead letter, without the headers that describe its failure. Dead letter topics take 9 MB."""
ALL_OUTPUTS = 4
"""All that one input leads to, in multiples of the largest event."""


@dataclass(frozen=True)
class Limits:
    """Of an own event, of any other output, and of an input. See the settings of the same names."""

    event: int = 4_000_000
    command: int = 1_900_000
    input: int = 5_000_000


RESERVED = 256
"""Descriptors kept for Kafka, SQLite and files; of few descriptors a quarter."""


@dataclass(frozen=True)
class HttpLimits:
    """What one connection may take. Times in seconds, sizes in bytes."""

    max_connections: int = 4_096
    max_header: int = 32_768
    header_timeout: float = 10.0
    body_rate: int = 100
    """Bytes a second that a body must bring, on the average of :attr:`window`."""
    keep_alive: float = 60.0
    stall_timeout: float = 30.0
    window: float = 10.0
    heartbeat: float = 15.0
    stream_time: float = 900.0


def room_for(wanted: int, descriptors: int) -> int:
    """How many connections there may be, with a share of the descriptors left for Kafka and SQLite."""
    return max(1, min(wanted, descriptors - min(RESERVED, descriptors // 4)))
