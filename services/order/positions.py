"""Where a stream of a user's orders stands: for each partition of the log, the offset up to which it has sent.

Offsets are Kafka's, so a position means the same on every replica, and after any rebuild.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BEGINNING = "0"
"""The position before everything, however many partitions there are."""


_NUMBER = "[0-9]{1,18}"
"""Any offset, and any version of an order."""
VERSION = f"^{_NUMBER}$"
"""How a position in a stream of one order is written: it is a version."""
POSITION = rf"^{_NUMBER}(\.{_NUMBER})*$"
"""How a position in a stream of a user is written."""


def parse_version(text: str) -> int:
    """A position in the stream of one order. Raises ValueError."""
    if not re.fullmatch(_NUMBER, text):
        raise ValueError(f"{text[:40]!r} is no version")
    return int(text)


def positions_text(offsets: Sequence[int]) -> str:
    """The position as a client keeps it: the offset of each partition, in their order, with dots between."""
    return ".".join(map(str, offsets))


def parse_positions(text: str, partitions: int) -> list[int]:
    """The inverse. Raises ValueError unless it has an offset for each partition, or is :data:`BEGINNING`."""
    if text == BEGINNING:
        return [0] * partitions
    if not re.fullmatch(POSITION, text):
        raise ValueError(f"{text[:40]!r} is no position")
    offsets = [int(part) for part in text.split(".")]
    if len(offsets) != partitions:
        raise ValueError(f"it has {len(offsets)} offsets, one for each of {partitions} partitions is needed")
    return offsets
