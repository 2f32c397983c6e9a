"""Where a new consumer group begins in the logs of other services."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from eventbus.model.errors import Misconfigured

Start = Literal["earliest", "now"] | int
"""The oldest record; what becomes visible from now on; or what was written at a time or later (ms since epoch)."""

_NAMED: dict[str, Start] = {"earliest": "earliest", "now": "now"}
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def start_of(text: str, now: int) -> Start:
    """The starting position that a text names. ``now``: ms since epoch. Raises Misconfigured.

    A time in the future is refused: what comes before it would be read all the same.
    """
    if text in _NAMED:
        return _NAMED[text]
    at = _millis(text)
    if at is None:
        raise Misconfigured(
            f"start_from is {text!r}: give earliest, now, or a time with its offset such as 2026-01-31T08:00:00Z"
        )
    if at > now:
        raise Misconfigured(
            f"start_from is {text}, which is in the future: give a time that has passed, or now"
        )
    return at


def _millis(text: str) -> int | None:
    """Ms since epoch of an RFC 3339 time, not below 0: Kafka reads negative numbers as something else."""
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return max(0, (moment - _EPOCH) // _MILLISECOND)
