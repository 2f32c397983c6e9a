"""Recordings of a new version of an event: a life that is recorded already, with that event in the new version."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tools.recordings.check import record
from tools.recordings.recording import Json, Log
from tools.schema_folders import SchemaFile
from tools.schema_samples import fitted


def record_version(logs: Sequence[Log], file: SchemaFile, before: str) -> list[str]:
    """Have a recording hold this version, which is not released yet; returns what was written.

    If one holds it already, its events of this version are made to fit the file again. Else the first recorded life
    with the version ``before`` is recorded once more. Raises ValueError if today's code cannot fold it.
    """
    found = [log for log in logs if log.name == file.record["topic"]]
    return [line for log in found for line in _record(log, file, before)]


def _record(log: Log, file: SchemaFile, before: str) -> list[str]:
    holding = [n for n in log.numbers() if any(e["schema"] == file.id for e in log.load(n)["events"])]
    drafts = {n: [_redone(event, file, file.id) for event in log.load(n)["events"]] for n in holding}
    if not holding and (events := _life(log, before)):
        drafts = {max(log.numbers()) + 1: [_redone(event, file, before) for event in events]}
    for number, events in drafts.items():
        log.unpin(number)
        log.path(number).write_text(json.dumps({"events": events}, ensure_ascii=False), encoding="utf-8")
    return record(log) if drafts else []


def _redone(event: Json, file: SchemaFile, schema: str) -> Json:
    """An event of ``schema`` in the version of the file; any other as it is."""
    if event["schema"] != schema:
        return event
    text = event["record"] | ({"version": file.version.number} if "version" in event["record"] else {})
    return {"schema": file.id, "record": fitted(text, file.record), "headers": event["headers"]}


def _life(log: Log, schema: str) -> list[Json]:
    """All events of the first key that has one of this version, up to the end of its recording; empty if none has."""
    for number in log.numbers():
        events = log.load(number)["events"]
        for event in events:
            if event["schema"] == schema:
                key = event["headers"]["ce_subject"]
                return [one for one in events if one["headers"]["ce_subject"] == key]
    return []
