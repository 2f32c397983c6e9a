"""A request that may come again: the id of its command names it, so that its repeats are known as such.

CloudEvents 1.0.2 lets a consumer take two events of the same source and id for one. So whoever repeats a request
sends its command with the same id, and whatever the command leads to carries that id as its cause
(``ce_causationid``). A decider with ``remembered_requests`` folds these ids: what comes again leads to nothing, and
the first answer is found in the log by any replica, at any time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ID = re.compile(r"request:([0-9a-f-]{36}):([0-9a-f]{0,64})")


class RequestId(NamedTuple):
    """``request``: the UUID of what a caller calls one request. ``fingerprint``: hex of what is asked for there."""

    request: str
    fingerprint: str

    def __str__(self) -> str:
        """The ``ce_id`` of the command."""
        return f"request:{self.request}:{self.fingerprint}"

    @classmethod
    def parse(cls, text: str | None) -> RequestId | None:
        """The request that an id names; None if it names none, as the ids of all other messages."""
        if text is None or not text.startswith("request:"):
            return None
        found = _ID.fullmatch(text)
        return cls(found[1], found[2]) if found else None


class Answered(NamedTuple):
    """The first answer to a request: the ``fingerprint`` of what was asked for, the ``version`` of its event."""

    fingerprint: str
    version: int
