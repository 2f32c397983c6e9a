"""All that is known of one message, as JSON: its body, its headers, and its steps so far."""

from __future__ import annotations

import base64
from typing import Any

from eventbus.cli.index import BURIED, DeadLetterIndex, Item
from eventbus.codec import Codec
from eventbus.headers import rfc3339
from eventbus.model.errors import Poison
from eventbus.model.record import Raw
from eventbus.retry.parked import Parked
from eventbus.wire_format import DATASCHEMA


def message_details(index: DeadLetterIndex, codec: Codec, item: Item) -> dict[str, Any]:
    """One message. The index must have kept its history."""
    kept = index.history.get((item.service, item.coordinates), [])
    parked, records = item.parked, sorted(kept, key=lambda record: record.timestamp)
    values = [r.value for r in records if r.value]
    value = parked.raw.value or (values[-1] if values else None)
    headers = [{"name": name, "value": _text(value)} for name, value in parked.raw.headers]
    behind = [] if not item.open else _behind(index, item)
    return {
        "service": item.service,
        "log": parked.log,
        "key": parked.key,
        "coordinates": item.coordinates,
        "type": item.type,
        "state": item.state,
        "attempts": parked.attempt,
        "since": rfc3339(parked.since),
        "written": rfc3339(parked.raw.timestamp),
        "error": item.error,
        "stacktrace": parked.stacktrace,
        "correlationId": parked.raw.extension("correlationid"),
        "traceparent": parked.raw.header("traceparent"),
        "note": _note(item),
        "message": _body(codec, value, parked.raw.header(DATASCHEMA), is_settled=not item.open),
        "headers": headers,
        "journey": [_step(record) for record in records],
        "behind": behind,
    }


def _note(item: Item) -> str:
    if item.state != BURIED:
        return ""
    note = "a dead letter only: it parks no key, and cannot be redriven"
    if item.truncated:
        note += (
            f"; it holds what fits of {item.truncated}: the whole record stands at {item.coordinates} for as long as "
            "its topic keeps it"
        )
    return note


def _behind(index: DeadLetterIndex, item: Item) -> list[str]:
    queue = [
        i
        for i in index.about(item.parked.key)
        if i.open and i.service == item.service and i.parked.log == item.parked.log
    ]
    return [f"{i.type} {i.coordinates}" for i in queue if i.parked.sequence > item.parked.sequence]


def _body(codec: Codec, value: bytes | None, named: str | None, is_settled: bool) -> Any:
    """The decoded message, or its bytes if it cannot be decoded."""
    if value is None:
        return "its bytes are no longer kept" if is_settled else None
    try:
        return codec.record_of(codec.decode_value(value, named))
    except Poison as error:
        return {"undecodable": str(error), "base64": base64.b64encode(value).decode()}


def _step(record: Raw) -> dict[str, Any]:
    """One record of the retry or the dead letter topic, as a step of its message."""
    step = {"at": rfc3339(record.timestamp), "record": record.coordinates}
    if record.topic.endswith(".dlq"):
        attempts = int(record.header("__eventbus.errors.attempts") or 0)
        return {
            **step,
            "state": "LETTER",
            "attempts": attempts,
            "due": None,
            "events": [],
            "error": "",
            "by": "",
        }
    parked = Parked.from_record(record)
    failed = parked.exception and parked.state.open
    return {
        **step,
        "state": parked.state.value,
        "attempts": parked.attempt,
        "due": rfc3339(parked.due) if parked.due else None,
        "events": list(parked.events),
        "error": f"{parked.exception}: {parked.message}" if failed else "",
        "by": parked.by,
    }


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
