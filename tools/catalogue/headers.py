"""What the headers of records say: of messages, of records that wait, and of dead letters.

The names come from the code that writes them; a name without words here, or words without a name, is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventbus.admin import Redrive
from eventbus.headers import headers_of
from eventbus.model.messages import Envelope
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS, RETRY, TRUNCATED, Parked
from eventbus.wire_format import DATASCHEMA, URN

MESSAGE = {
    "ce_specversion": "The version of CloudEvents.",
    "ce_id": "The id of the message. A repeated decision gives the same id again.",
    "ce_type": "The name of the message. What it means stands in its schema.",
    "ce_source": "Who wrote it: `/<service>`, or `/<service>/api` for its HTTP interface.",
    "ce_time": "When it was written, RFC 3339 in UTC.",
    "ce_subject": "The key of the message as text.",
    "content-type": "The encoding of the value.",
    "ce_correlationid": "The same in everything that one request led to.",
    "ce_causationid": "The `ce_id` of the message that led to this one. What came over HTTP has none.",
    "ce_cause": "The record that led to it, as topic-partition-offset. What came over HTTP has none. After "
    "`….unwritten` stands an offset of the record that `ce_causationid` names: a message between was not written.",
    "ce_keyversion": "Which event of its key it is, from 1. Only events of a log have it.",
    "traceparent": "W3C Trace Context, copied from the input.",
}
CORRELATION = "ce_correlationid"
"""The header by which what belongs to one request is found."""
OLD = {
    name: f"`ce_{name}` under its old name, written while `EVENTBUS_OLD_HEADERS` is on."
    for name in ("correlationid", "cause", "keyversion")
}
WAITING = {
    "format": "The version of these headers.",
    "log": "The log of the decider that the message waits for.",
    "key": "The key of the message.",
    "sequence": "Its place in the queue of its key, from 1.",
    "state": "How it waits: WAITING, DEAD, REDRIVEN; or how that ended: RESOLVED, DISCARDED, BURIED.",
    "attempt": "How often it was tried.",
    "due": "When it is tried next, ms since epoch (UTC); 0 behind another message of its key.",
    "since": "When it was parked, ms since epoch (UTC).",
    "called": "1 if the last try asked the outside.",
    "events": "The own events that it led to in the end, with commas between.",
}
WHY = {
    "topic": "The topic it was read from.",
    "partition": "The partition it was read from.",
    "offset": "The offset it was read from.",
    "timestamp": "The time of the record, ms since epoch (UTC).",
    "exception": "The kind of the error.",
    "message": "What went wrong.",
    "stacktrace": "Where in the code.",
}
LETTER = {
    "group": "The service that could not process it.",
    "service.version": "The version of that service.",
    "attempts": "How often it was tried.",
    "since": "When it was parked, ms since epoch (UTC).",
    "failed.at": "When it became a dead letter, ms since epoch (UTC).",
}
ELSEWHERE = {
    DATASCHEMA: f"Only if a schema registry gave an id that is not the pinned one: `{URN}` and the version, "
    f"such as `{URN}OrderCreated.v2`."
}
CUT = {TRUNCATED: "Only if the record was too large: how large it was. What fits is kept."}


def of_messages() -> dict[str, str]:
    """By name, what each header of a message says."""
    event = Envelope(
        message=Redrive(message_key="k"),
        id="i",
        time=0,
        source="/s",
        correlation_id="c",
        cause="t-0-0",
        key_version=1,
        traceparent="00",
        topic="t",
        partition=0,
        offset=0,
        causation_id="i",
    )
    return _explained(headers_of(event), MESSAGE | OLD) | ELSEWHERE


def of_waiting() -> dict[str, str]:
    """By name, what each header of a record in a retry topic says, beside those that the message had."""
    words = {f"{RETRY}{name}": text for name, text in WAITING.items()}
    return _explained(_PARKED.headers(), words | _errors(WHY))


def of_letters() -> dict[str, str]:
    """By name, what each header of a dead letter says, beside those that the record had."""
    return _explained(_PARKED.dead_letter_headers("s", "1", 0), _errors(WHY) | _errors(LETTER)) | CUT


def _explained(written: Iterable[tuple[str, bytes | None]], words: Mapping[str, str]) -> dict[str, str]:
    names = [name for name, _ in written]
    if set(names) != set(words):
        raise ValueError(
            f"tools/catalogue/headers.py has no words, or too many, for {set(names) ^ set(words)}"
        )
    return {name: words[name] for name in names}


def _errors(words: Mapping[str, str]) -> dict[str, str]:
    return {f"{ERRORS}{name}": text for name, text in words.items()}


_PARKED = Parked.rejected(Raw("t", 0, 0, b"", b"", [], 0), ValueError("e"), 0)
