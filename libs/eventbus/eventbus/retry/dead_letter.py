"""Reads a record of ``<service>.dlq`` back: the message as it was, and why it is there."""

from __future__ import annotations

from eventbus.model.places import whole_number
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS, Parked, State, time_of


def dead_letter(record: Raw) -> Parked:
    """A dead letter, by its headers. Raises KeyError or ValueError if the record is none."""
    fields = {
        k.removeprefix(ERRORS): (v or b"").decode("utf-8", "replace")
        for k, v in record.headers
        if k.startswith(ERRORS)
    }
    raw = record._replace(
        topic=fields["topic"],
        partition=whole_number(fields["partition"]),
        offset=whole_number(fields["offset"]),
        timestamp=time_of(fields["timestamp"]),
        headers=[(k, v) for k, v in record.headers if not k.startswith(ERRORS)],
    )
    return Parked(
        raw,
        log="",
        key=(record.key or b"").decode("utf-8", "backslashreplace"),
        sequence=0,
        state=State.DEAD,
        attempt=whole_number(fields["attempts"]),
        due=0,
        since=time_of(fields["since"]) if fields.get("since") else record.timestamp,
        exception=fields["exception"],
        message=fields["message"],
        stacktrace=fields["stacktrace"],
    )
