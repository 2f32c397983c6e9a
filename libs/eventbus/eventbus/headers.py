"""CloudEvents 1.0 headers (Kafka binding, binary mode), and W3C Trace Context."""

from __future__ import annotations

from datetime import UTC, datetime

from eventbus.model.limits import MAX_COPIED, MAX_KEY
from eventbus.model.messages import Envelope
from eventbus.model.places import whole_number
from eventbus.model.record import LATEST, Headers, Raw

COPIED = ("ce_id", "correlationid", "traceparent")
"""The headers that are copied to whatever a message leads to."""


def headers_of(envelope: Envelope) -> Headers:
    """The headers a message travels with."""
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.message.name.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", rfc3339(envelope.time).encode()),
        ("ce_subject", envelope.message.key.encode()),
        ("content-type", b"application/avro"),
        ("correlationid", envelope.correlation_id.encode()),
    ]
    if envelope.cause is not None:
        headers.append(("cause", envelope.cause.encode()))
    if envelope.key_version is not None:
        headers.append(("keyversion", str(envelope.key_version).encode()))
    if envelope.traceparent:
        headers.append(("traceparent", envelope.traceparent.encode()))
    return headers


def rfc3339(millis: int) -> str:
    """Ms since epoch as RFC 3339 text in UTC, to the millisecond: ``2026-05-04T10:00:00.000Z``."""
    return (
        datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def left_out(raw: Raw) -> list[str]:
    """The headers of a record that would be copied on, but are too long for that."""
    return [name for name, value in raw.headers if name in COPIED and value and not _short(name, value)]


def _short(name: str, value: bytes) -> str:
    """A header as text; empty if it is longer than such a header may be (a character has at most four bytes)."""
    most = MAX_COPIED if name in COPIED else MAX_KEY
    text = value.decode("utf-8", "replace") if len(value) <= 4 * most else ""
    return text if len(text) <= most else ""


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else whole_number(text)
    except ValueError:
        return None


def _millis(text: str | None, default: int) -> int:
    """The time in a header, ms since epoch; ``default`` where it says none between 1970 and 9999."""
    default = default if 0 <= default <= LATEST else 0
    if not text:
        return default
    try:
        time = round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return default
    return time if 0 <= time <= LATEST else default
