"""Pins what a new schema version must keep for ever: its id, its content and its bytes.

``python -m tools.pin_schemas`` appends to ``schemas/ids.json``, ``released.json`` and ``golden.json`` what is
missing there, and changes no entry that is there. For a new version, first put one or more sample records
into ``golden.json``: ``"OrderCreated.v3": [{"record": {...}}]``; the bytes are added. With ``--check``
nothing is written, and the exit status is 1 if something is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import fastavro

from tools.avro_rules import conflicts
from tools.generate_messages import SCHEMAS, SchemaFile, latest, schema_files

Json = dict[str, Any]


def without(avro: Any, *attributes: str) -> Any:
    """A schema without some attributes (``doc``, ``logicalType``), at any depth."""
    if isinstance(avro, list):
        return [without(part, *attributes) for part in avro]
    if isinstance(avro, dict):
        return {
            # A field's default is data, not schema.
            key: value if key == "default" else without(value, *attributes)
            for key, value in avro.items()
            if key not in attributes
        }
    return avro


def fingerprint(file: SchemaFile, schema_id: int) -> str:
    """SHA-256 (hex) of the id and the schema, docs left out: words may be mended, nothing else may change."""
    canonical = json.dumps(without(file.record, "doc"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{schema_id} {canonical}".encode()).hexdigest()


def parsed(file: SchemaFile) -> Any:
    """The schema for fastavro, timestamps as plain integers (ms since epoch)."""
    return fastavro.parse_schema(without(file.record, "logicalType"))


def encode(file: SchemaFile, record: Json) -> bytes:
    """The Avro body of a record, without the wire header. Strict: every field must be given."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed(file), record, strict=True)
    return body.getvalue()


def load(name: str, directory: Path = SCHEMAS) -> Json:
    """One of the pin files (``ids``, ``released``, ``golden``); empty if there is none yet."""
    path = directory / f"{name}.json"
    content: Json = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def dump(content: Json) -> str:
    """The text of a pin file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def pin(files: list[SchemaFile], ids: Json, released: Json, golden: Json) -> list[str]:
    """Adds what is missing to the three pins in place; returns one line for each addition.

    ValueError for a version that the latest schema cannot read, or that has no sample record.
    """
    newest = latest(files)
    added = []
    for file in sorted(files, key=lambda file: (ids.get(file.id, sys.maxsize), file.id)):
        problems = conflicts(file.record, newest[file.name].record)
        if problems:
            raise ValueError(f"{newest[file.name].id} cannot read {file.id}: {'; '.join(problems)}")
        if file.id not in golden:
            raise ValueError(
                f'golden.json has no sample of {file.id}: add "{file.id}": [{{"record": {{...}}}}]'
            )
        if file.id not in ids:
            ids[file.id] = max(ids.values(), default=0) + 1
            added.append(f"{file.id}: id {ids[file.id]}")
        if file.id not in released:
            released[file.id] = fingerprint(file, ids[file.id])
            added.append(f"{file.id}: released as {released[file.id]}")
        for sample in golden[file.id]:
            if "hex" not in sample:
                sample["hex"] = encode(file, sample["record"]).hex()
                added.append(f"{file.id}: golden bytes {sample['hex']}")
    return added


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pin_schemas", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something is missing")
    check = parser.parse_args(arguments).check
    pins = {name: load(name) for name in ("ids", "released", "golden")}
    try:
        added = pin(schema_files(), **pins)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(added) or "nothing to pin")
    if not check:
        for name, content in pins.items():
            (SCHEMAS / f"{name}.json").write_text(dump(content), encoding="utf-8")
    return 1 if check and added else 0


if __name__ == "__main__":
    sys.exit(main())
