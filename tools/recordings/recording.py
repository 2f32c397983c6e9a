"""Recordings as files: ``<service>/recordings/<log>/<N>.json``, pinned in ``<service>/recordings/pinned.json``.

A recording holds events of one log in order, each as decoded fields and as the bytes and headers it was written with,
and what they fold to. All of them stand in partition 0, the first at offset 0. A file that is not pinned is a draft:
its events need only ``schema``, ``record`` and the header ``cause``.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventbus import Decider
from eventbus.headers import rfc3339
from eventbus.model.record import Raw
from eventbus.schema_package import SchemaPackage
from tools.pin_schemas import encode
from tools.schema_folders import SchemaFile, schema_files

Json = dict[str, Any]
PINS = "pinned.json"


@dataclass(frozen=True)
class Log:
    """A log, the decider that folds it, the service's schema packages, and its folder of recordings."""

    decider: Decider[Any]
    packages: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        return self.decider.log

    def numbers(self) -> list[int]:
        """Of the recordings that there are, drafts included; ascending. Raises ValueError for a file misnamed."""
        paths = list((self.folder / self.name).glob("*.json"))
        for path in paths:
            if not path.stem.isdecimal():
                raise ValueError(f"{path}: a recording is named by its number, such as 1.json")
        return sorted(int(path.stem) for path in paths)

    def path(self, number: int) -> Path:
        return self.folder / self.name / f"{number}.json"

    def load(self, number: int) -> Json:
        """One recording. Raises ValueError if the file is no JSON object."""
        return _load(self.path(number))

    def pins(self) -> dict[int, str]:
        """SHA-256 of each pinned recording of this log, by its number."""
        prefix = f"{self.name}/"
        return {
            int(name.removeprefix(prefix).removesuffix(".json")): digest
            for name, digest in _pins(self.folder).items()
            if name.startswith(prefix)
        }

    def save(self, number: int, recording: Json) -> None:
        """Write a recording and pin it."""
        path = self.path(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_lines(recording)) + "\n", encoding="utf-8")
        self._save_pins(_pins(self.folder) | {f"{self.name}/{number}.json": digest(recording)})

    def unpin(self, number: int) -> None:
        """Make a recording a draft again: one that holds what was never released."""
        pins = _pins(self.folder)
        if pins.pop(f"{self.name}/{number}.json", None):
            self._save_pins(pins)

    def _save_pins(self, pins: Json) -> None:
        (self.folder / PINS).write_text(json.dumps(pins, indent=2) + "\n", encoding="utf-8")

    def schemas(self) -> dict[str, tuple[SchemaFile, int]]:
        """Every released version of every event of this log with its schema id, by ``Name.vN``."""
        found: dict[str, tuple[SchemaFile, int]] = {}
        for name in self.packages:
            package = SchemaPackage.load(name)
            for file in schema_files(package.folder):
                if file.record["topic"] == self.name:
                    found[file.id] = (file, package.ids[file.version])
        return found


def _pins(folder: Path) -> dict[str, str]:
    path = folder / PINS
    return _load(path) if path.exists() else {}


def _load(path: Path) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object")
    return content


def digest(recording: Json) -> str:
    """SHA-256 (hex) of what a recording says, however its file is laid out."""
    return hashlib.sha256(json.dumps(recording, separators=(",", ":")).encode()).hexdigest()


def completed(log: Log, draft: list[Json]) -> list[Json]:
    """The events of a draft with their bytes and headers, as a leader writes them. What is there already is kept.

    Raises ValueError for what no leader can have written.
    """
    known, versions, events = log.schemas(), Counter[str](), []
    for number, event in enumerate(draft, 1):
        try:
            schema, record, headers = event["schema"], event["record"], event.get("headers", {})
            if schema not in known:
                raise ValueError(f"{schema} is no released event of {log.name}: {', '.join(known)}")
            if not headers.keys() & {"ce_cause", "cause"}:
                raise ValueError('it names no cause: "headers": {"ce_cause": "<input topic>-0-<offset>"}')
            file, schema_id = known[schema]
            key = record[file.record["key"]]
            versions[key] += 1
            value = (b"\0" + struct.pack(">I", schema_id) + encode(file, record)).hex()
            if event.get("value", value) != value:
                raise ValueError(f"its value is not its record, which is {value}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"event {number}: {type(error).__name__}: {error}") from None
        written = _headers(log, file.name, key, versions[key], record.get("timestamp", 0)) | headers
        events.append({"schema": schema, "record": record, "headers": written, "value": value})
    return events


def _headers(log: Log, name: str, key: str, version: int, time: int) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": f"{key}-{version}",
        "ce_type": name,
        "ce_source": f"/{log.name.partition('.')[0]}",
        "ce_time": rfc3339(time),
        "ce_subject": key,
        "content-type": "application/avro",
        "ce_correlationid": key,
        "ce_keyversion": str(version),
    }


def raw_of(log: Log, offset: int, event: Json) -> Raw:
    """The record that a recorded event is, as the broker would give it."""
    headers = event["headers"]
    return Raw(
        topic=log.name,
        partition=0,
        offset=offset,
        key=headers["ce_subject"].encode(),
        value=bytes.fromhex(event["value"]),
        headers=[(name, text.encode()) for name, text in headers.items()],
        timestamp=0,
    )


def _lines(recording: Json) -> Iterator[str]:
    """JSON that is read by people: a line for each part of an event, for each state, and for each row."""
    events = [
        "  {" + ",\n   ".join(f"{_text(name)}: {_text(part)}" for name, part in event.items()) + "}"
        for event in recording["events"]
    ]
    states = [f"  {_text(key)}: {_text(state)}" for key, state in recording["states"].items()]
    rows = [
        f"  {_text(table)}: " + _block("[]", [f"   {_text(row)}" for row in rows], "  ")
        for table, rows in recording["rows"].items()
    ]
    yield f'{{\n "log": {_text(recording["log"])},\n "foldVersion": {recording["foldVersion"]},'
    yield f' "events": {_block("[]", events)},'
    yield f' "states": {_block("{}", states)},'
    yield f' "rows": {_block("{}", rows)}\n}}'


def _block(brackets: str, parts: list[str], indent: str = " ") -> str:
    inside = ",\n".join(parts)
    return f"{brackets[0]}\n{inside}\n{indent}{brackets[1]}" if parts else brackets


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
