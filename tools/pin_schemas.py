"""Pins what a schema version must keep for ever: its id, its content and its bytes.

``python -m tools.pin_schemas`` appends to ``ids.json``, ``released.json`` and ``golden.json`` of each schema package
what is missing there, and changes no entry that is there. The first version of a message needs a sample record in
``golden.json``: ``"OrderThanked.v1": [{"record": {...}}]``; the bytes are added. A further version is made by
``make schema-version``, which also holds it back until all code can read it.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import Any

import fastavro

from eventbus.model.versions import Version
from tools.avro_rules import version_conflicts
from tools.schema_folders import Folder, Json, SchemaFile, folders, taken
from tools.schema_form import flaws

PINS = ("ids", "released", "golden")


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


def pinned(file: SchemaFile, schema_id: int) -> Json:
    """What ``released.json`` keeps of a version: words may be mended, nothing else may change."""
    return {"id": schema_id, "schema": without(file.record, "doc")}


def parsed(file: SchemaFile) -> Any:
    """The schema for fastavro, timestamps as plain integers (ms since epoch)."""
    return fastavro.parse_schema(without(file.record, "logicalType"))


def encode(file: SchemaFile, record: Json) -> bytes:
    """The Avro body of a record, without the wire header. Strict: every field must be given."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed(file), record, strict=True)
    return body.getvalue()


def free_id(folder: Folder, known: Sequence[Folder]) -> int:
    """An id above all of the folder, that no folder has; the first of a new folder begins a new thousand."""
    used = {schema_id for schema_id, _, _ in taken(known)}
    own = set(folder.load("ids").values())
    first = max(own) if own else max(used, default=0) // 1000 * 1000 + 1000
    return next(number for number in range(first + 1, first + len(used) + 2) if number not in used)


def pin(folder: Folder, known: Sequence[Folder]) -> list[str]:
    """Writes to the three files what is missing there; returns one line for each addition.

    ``known``: all folders, whose ids are taken. Raises ValueError, and writes nothing, for a version that is no valid
    schema, breaks the rules of versions, or has no sample record.
    """
    files = folder.files()
    if problems := [*form_problems(files), *version_conflicts(files)]:
        raise ValueError("\n".join(problems))
    ids, released, golden = (folder.load(name) for name in PINS)
    added = []
    for file in sorted(files, key=lambda file: (ids.get(file.id, sys.maxsize), file.version)):
        if not golden.get(file.id):
            raise ValueError(
                f'{folder.path}/golden.json has no sample of {file.id}: add "{file.id}": [{{"record": {{...}}}}]'
            )
        if file.id not in ids:
            ids[file.id] = max(free_id(folder, known), max(ids.values(), default=0) + 1)
            added.append(f"{file.id}: id {ids[file.id]}")
        if file.id not in released:
            released[file.id] = pinned(file, ids[file.id])
            added.append(f"{file.id}: released with id {ids[file.id]}")
        added += [f"{file.id}: golden bytes {text}" for text in complete_samples(file, golden[file.id])]
    for name, content in zip(PINS, (ids, released, golden), strict=True):
        if content != folder.load(name):
            folder.save(name, content)
    return added


def is_copy(file: SchemaFile, ids: Json) -> bool:
    """Whether a file is a further version of a message, made by hand: nothing would hold it back."""
    return file.id not in ids and file.name in {Version.parse(version).name for version in ids}


def remedy(file: SchemaFile) -> str:
    """What to do about such a file."""
    return (
        f"{file.path} was not made by `make schema-version`, so it would be written before all code can read it: "
        f"move it away, then make schema-version MESSAGE={file.path.parent.name}/{file.name}"
    )


def complete_samples(file: SchemaFile, samples: list[Json]) -> list[str]:
    """Adds the bytes to the samples that have none, and returns them (hex). Raises ValueError for a wrong sample."""
    added = []
    for sample in samples:
        if "hex" not in sample:
            try:
                sample["hex"] = encode(file, sample["record"]).hex()
            except Exception as error:  # fastavro raises whatever the record provokes
                raise ValueError(f"the sample of {file.id} does not fit it: {error}") from error
            added.append(sample["hex"])
    return added


def form_problems(files: Sequence[SchemaFile]) -> list[str]:
    """What is wrong with the content of the files."""
    return [f"{file.path}: {flaw}" for file in files for flaw in flaws(file.record)]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="pin_schemas", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", nargs="*", help="further schema packages than those of services.toml")
    try:
        known = folders(beside=parser.parse_args(arguments).package)
        if copies := [f for folder in known for f in folder.files() if is_copy(f, folder.load("ids"))]:
            raise ValueError("\n".join(map(remedy, copies)))
        added = [line for folder in known for line in pin(folder, known)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(added) or "nothing to pin")
    return 0


if __name__ == "__main__":
    sys.exit(main())
