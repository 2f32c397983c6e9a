"""What a schema registry answers that holds exactly the schema files, and changes nothing. No HTTP here.

Subjects are the full names of records, ids the pinned ones, and the number of a version is its place among the
released versions of its message, from 1. Source: Confluent "Schema Registry API Reference" (v7.8).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from eventbus.registry.agreement import Entry, same

Answer = tuple[int, Any]
"""Status and body."""


def error(status: int, code: int, message: str) -> Answer:
    return status, {"error_code": code, "message": message}


NO_PAGE = error(404, 404, "HTTP 404 Not Found")
READ_ONLY = error(
    422, 42205, "This registry serves files and changes nothing: see schemas/README.md for new versions"
)


class SchemaFiles:
    """The schemas, as a registry shows them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_id = {entry.pinned: entry for entry in entries}
        self._subjects: dict[str, list[Entry]] = {}
        for entry in sorted(entries, key=lambda entry: entry.version):
            self._subjects.setdefault(entry.subject, []).append(entry)

    def answer(self, method: str, target: str, body: Any = None) -> Answer:
        """Status and JSON body for a request. ``target``: path and query. ``body``: the JSON that came with it."""
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.strip("/").split("/")]
        if method == "POST" and len(path) == 2 and path[0] == "subjects":
            return self._found(path[1], body)
        if method == "POST" and len(path) == 3 and path[0] == "subjects":
            # A client that registers before it writes goes on, as long as it brings what is here already.
            status, found = self._found(path[1], body)
            return (200, {"id": found["id"]}) if status == 200 else READ_ONLY
        if method != "GET":
            return READ_ONLY
        return self._read(path, parse_qs(url.query))

    def _read(self, path: list[str], query: dict[str, list[str]]) -> Answer:
        match path:
            case [""]:
                return 200, {}
            case ["subjects"]:
                prefix = query.get("subjectPrefix", [""])[0]
                return 200, [subject for subject in sorted(self._subjects) if subject.startswith(prefix)]
            case ["subjects", subject, *rest]:
                return self._subject(subject, rest)
            case ["schemas", "ids", number, *rest]:
                return self._id(number, rest)
            case ["schemas", "types"]:
                return 200, ["AVRO"]
            case ["schemas"]:
                return 200, [self._shown(entry) for entries in self._subjects.values() for entry in entries]
            case ["contexts"]:
                return 200, ["."]
            case ["config"] | ["config", _]:
                return 200, {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
            case ["mode"] | ["mode", _]:
                return 200, {"mode": "READONLY"}
        return NO_PAGE

    def _subject(self, subject: str, rest: list[str]) -> Answer:
        entries = self._subjects.get(subject)
        if entries is None:
            return error(404, 40401, f"Subject '{subject}' not found.")
        if rest == ["versions"]:
            return 200, list(range(1, len(entries) + 1))
        if len(rest) not in (2, 3) or rest[0] != "versions":
            return NO_PAGE
        number = len(entries) if rest[1] in ("latest", "-1") else _number(rest[1])
        if number is None or number < 1:
            return error(422, 42202, f"The specified version '{rest[1]}' is not a valid version id.")
        if number > len(entries):
            return error(404, 40402, f"Version {number} not found.")
        entry = entries[number - 1]
        match rest[2:]:
            case []:
                return 200, self._shown(entry)
            case ["schema"]:
                return 200, json.loads(entry.text)
            case ["referencedby"]:
                return 200, []
        return NO_PAGE

    def _id(self, text: str, rest: list[str]) -> Answer:
        number = _number(text)
        entry = None if number is None else self._by_id.get(number)
        if entry is None:
            return error(404, 40403, f"Schema {text} not found.")
        match rest:
            case []:
                return 200, {"schema": entry.text}
            case ["schema"]:
                return 200, json.loads(entry.text)
            case ["subjects"]:
                return 200, [entry.subject]
            case ["versions"]:
                return 200, [{"subject": entry.subject, "version": self._place(entry)}]
        return NO_PAGE

    def _found(self, subject: str, body: Any) -> Answer:
        """The version of a subject that has this schema, whatever its documentation says."""
        if subject not in self._subjects:
            return error(404, 40401, f"Subject '{subject}' not found.")
        schema = body.get("schema") if isinstance(body, dict) else None
        if not isinstance(schema, str):
            return error(422, 42201, "Invalid schema: the body holds none")
        for entry in self._subjects[subject]:
            if same(entry, schema):
                return 200, self._shown(entry)
        return error(404, 40403, "Schema not found")

    def _shown(self, entry: Entry) -> dict[str, Any]:
        place = {"subject": entry.subject, "version": self._place(entry), "id": entry.pinned}
        return {**place, "schemaType": "AVRO", "schema": entry.text}

    def _place(self, entry: Entry) -> int:
        return self._subjects[entry.subject].index(entry) + 1


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else None
