"""The headers of an event, as this project's library writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from confluent_kafka import Message

from bench.bare.hop import Headers


def place_of(record: Message) -> str:
    """Where a record stands, as ``basket.commands-2-17``."""
    return f"{record.topic()}-{record.partition()}-{record.offset()}"


def moment(seconds: float) -> bytes:
    """A time (s since epoch) as RFC 3339 text in UTC, to the millisecond."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").encode()


def headers_of(
    service: str,
    name: str,
    key: bytes,
    cause: str,
    told: Mapping[str, bytes],
    version: int,
    place: int,
    at: bytes,
) -> Headers:
    """Those of the event of that ``version`` of its key, at that ``place`` among what its ``cause`` leads to.

    ``told``: the headers of the cause; ``at``: the event's :func:`moment`.
    """
    where = cause.encode()
    identity = told.get("ce_id") or where
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{service}/{cause}/{version - 1}.{place}".encode()),
        ("ce_type", name.encode()),
        ("ce_source", f"/{service}".encode()),
        ("ce_time", at),
        ("ce_subject", key),
        ("content-type", b"application/avro"),
        ("ce_correlationid", told.get("ce_correlationid") or identity),
        ("ce_cause", where),
        ("ce_keyversion", b"%d" % version),
        ("ce_causationid", identity),
    ]
