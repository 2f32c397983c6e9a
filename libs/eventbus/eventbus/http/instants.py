"""Instants in requests: RFC 3339, as the answers write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from eventbus.http.problems import invalid

INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
"""What an instant looks like."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(field: str, text: str) -> int:
    """Ms since epoch of an instant, cut to whole ms. Raises Problem 422 that names the field."""
    try:
        found = re.fullmatch(INSTANT, text)
        if not found:
            raise ValueError("not RFC 3339")
        fraction, offset = found[1] or "", found[2].upper()
        moment = datetime.fromisoformat(text[:19].upper() + offset)
        return round((moment - EPOCH).total_seconds()) * 1000 + int(fraction[1:4].ljust(3, "0"))
    except (ValueError, OverflowError) as error:
        expected = "must be a time such as 2026-05-04T10:00:00.000Z; in a URL a + is written %2B"
        raise invalid([(field, expected)]) from error
