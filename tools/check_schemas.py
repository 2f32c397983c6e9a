"""Holds the contracts, without a broker: ``python -m tools.check_schemas``, for all schema packages or those named.

What was ever written can be read, and what was released does not change: each pair of versions follows the rules of
compatibility, no released file differs from its pin, ids are given once, and today's code reads the golden bytes of
every version.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from eventbus.codec import Codec
from eventbus.model.errors import Poison
from eventbus.schema_package import MAX_ID
from tools.avro_rules import version_conflicts
from tools.pin_schemas import encode, form_problems, is_copy, pinned, remedy
from tools.registry import ROOT
from tools.schema_folders import Folder, Json, SchemaFile, folders, taken


def file_problems(checked: Sequence[Folder]) -> list[str]:
    """What is wrong in the files of these folders, each with the version and what to do. Imports no package."""
    found: list[str] = []
    for folder in checked:
        try:
            files = folder.files()
            pins = [folder.load(name) for name in ("ids", "released", "golden")]
        except ValueError as error:
            found.append(str(error))
            continue
        form = form_problems(files)
        found += form
        if not form:
            found += version_conflicts(files)
            found += _pin_problems(folder, files, *pins)
    return found or list(_id_problems(checked))


def _pin_problems(
    folder: Folder, files: Sequence[SchemaFile], ids: Json, released: Json, golden: Json
) -> Iterator[str]:
    by_id = {file.id: file for file in files}
    for version, pin in released.items():
        if version not in by_id:
            path = folder.path / pin["schema"]["topic"] / f"{version}.avsc"
            yield f"{version} was released, and its file {path} is gone: bring it back"
        elif version not in ids or version not in golden:
            yield f"{version} was released, and {folder.path} has no id or no golden bytes of it: bring them back"
    for version in [*ids, *golden]:
        if version not in released and version not in by_id:
            yield f"{folder.path}: ids.json or golden.json names {version}, of which there is no file"
    for file in files:
        if is_copy(file, ids):
            yield remedy(file)
        elif file.id not in released:
            yield f"{file.path} is not pinned: run `make schema-pin`"
        elif file.id in ids and (changes := list(differences(released[file.id], pinned(file, ids[file.id])))):
            yield (
                f"{file.id} was released, and its file is not what it was: {'; '.join(changes)}. Bring it back, "
                f"and make a new version: make schema-version MESSAGE={file.path.parent.name}/{file.name}"
            )
        else:
            yield from _golden_problems(folder, file, golden.get(file.id, []))


def _golden_problems(folder: Folder, file: SchemaFile, samples: list[Json]) -> Iterator[str]:
    for sample in samples:
        try:
            same = encode(file, sample["record"]).hex() == sample["hex"]
        except Exception as error:  # fastavro raises whatever the record provokes
            yield f"{folder.path}/golden.json: a record of {file.id} does not fit it: {error}"
            continue
        if not same:
            yield f"{folder.path}/golden.json: the bytes of {file.id} are not those of its record: bring both back"


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two schemas differ, as ``items[].quantity.type was "int" and is "long"``."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            place = f"{path}.{name}" if path else str(name)
            yield from differences(before.get(name), after.get(name), place)
    elif _named(before) and _named(after):
        old, new = ({field["name"]: field for field in fields} for fields in (before, after))
        inside = path.removesuffix("schema.fields").removesuffix(".fields").removesuffix("type.items")
        prefix = inside + "." if inside and not inside.endswith(".") else inside
        for name in dict.fromkeys([*old, *new]):
            if name not in new:
                yield f"the field {prefix}{name} is gone"
            elif name not in old:
                yield f"the field {prefix}{name} is new"
            else:
                yield from differences(old[name], new[name], f"{prefix}{name}")
        if list(old) != list(new) and set(old) == set(new):
            yield f"the fields {', '.join(new)} stand in another order"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for old_part, new_part in zip(before, after, strict=True):
            yield from differences(old_part, new_part, path)
    elif before != after or type(before) is not type(after):
        yield f"{path} was {before!r} and is {after!r}"


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value)


def _id_problems(checked: Sequence[Folder]) -> Iterator[str]:
    owners: dict[Any, str] = {}
    for schema_id, folder, version in taken(checked):
        owner = f"{version} ({folder.path}/ids.json)"
        if type(schema_id) is not int or not 0 < schema_id <= MAX_ID:
            yield f"the id of {owner} is {schema_id!r}: give a number from 1 to {MAX_ID}"
        elif schema_id in owners:
            yield f"the id {schema_id} is that of {owners[schema_id]} and of {owner}: an id is given once"
        owners[schema_id] = owner


def code_problems(checked: Sequence[Folder]) -> Iterator[str]:
    """What of the golden bytes today's code cannot read. Imports the packages."""
    try:
        codec = Codec(*(folder.name for folder in checked))
    except Exception as error:  # whatever the modules of a package raise as they are imported
        yield f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return
    for folder in checked:
        ids, golden = folder.load("ids"), folder.load("golden")
        for file in folder.files():
            for sample in golden[file.id]:
                try:
                    message = codec.decode_value(
                        struct.pack(">bI", 0, ids[file.id]) + bytes.fromhex(sample["hex"])
                    )
                except Poison as error:
                    yield f"today's code cannot read the golden bytes of {file.id}: {error}"
                    continue
                if message.key != sample["record"][file.record["key"]]:
                    yield f"today's code reads the golden bytes of {file.id} with the key {message.key!r}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="check_schemas", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", nargs="*", help="schema packages (default: those of services.toml)")
    try:
        checked = folders(parser.parse_args(arguments).package)
        found = file_problems(checked) or list(code_problems(checked))
    except ValueError as error:
        found = [str(error)]
    for problem in found:
        print(problem.replace(f"{ROOT}/", ""), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
