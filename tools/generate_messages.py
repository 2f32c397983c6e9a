"""Generates ``schemas/messages.py`` from the Avro files: one frozen dataclass a message, its latest version.

``python -m tools.generate_messages`` writes it, and ``schemas/__init__.py`` which re-exports its classes;
with ``--check`` nothing is written, and the exit status is 1 if a file is out of date. Services whose messages stand
beside them have ``messages.py`` alone; without a name, those of ``services.toml`` and the library's own are meant.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.registry import ROOT
from tools.schema_folders import Record, SchemaFile, folders, latest, schema_files

SCHEMAS = ROOT / "schemas"
WIDTH = 110

HEADER = '''"""The messages of {owner}, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import {imports}
'''

PRIMITIVES = {"string": "str", "int": "Int32", "long": "int", "boolean": "bool"}


def snake(name: str) -> str:
    """``availableQty`` -> ``available_qty``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def nested(avro: Any) -> Iterator[Record]:
    """The records defined inside an Avro type, innermost first."""
    if isinstance(avro, list):
        for branch in avro:
            yield from nested(branch)
    elif isinstance(avro, dict) and avro["type"] == "array":
        yield from nested(avro["items"])
    elif isinstance(avro, dict) and avro["type"] == "record":
        for field in avro["fields"]:
            yield from nested(field["type"])
        yield avro


def annotation(avro: Any) -> str:
    """The Python type of an Avro type; ValueError for one the messages do not use."""
    match avro:
        case str() if avro in PRIMITIVES:
            return PRIMITIVES[avro]
        case ["null", other]:
            return f"{annotation(other)} | None"
        case {"type": "array", "items": element}:
            return f"tuple[{annotation(element)}, ...]"
        case {"type": "record", "name": str(name)}:
            return name
        case {"type": str(primitive)} if primitive in PRIMITIVES:
            return PRIMITIVES[primitive]
    raise ValueError(f"no Python type for the Avro type {avro!r}")


def field_line(field: Record) -> str:
    """One field of a dataclass, with its default if the schema has one."""
    line = f"    {snake(field['name'])}: {annotation(field['type'])}"
    if "default" not in field:
        return line
    default = field["default"]
    if isinstance(default, list):
        return f"{line} = ()"
    return f"{line} = {json.dumps(default)}" if isinstance(default, str) else f"{line} = {default!r}"


def dataclass_lines(record: Record, base: str = "") -> str:
    """The class statement of a record."""
    doc = textwrap.wrap(record["doc"], WIDTH - 10)
    docstring = f'"""{doc[0]}"""' if len(doc) == 1 else '"""' + "\n    ".join(doc) + '\n    """'
    fields = "\n".join(field_line(field) for field in record["fields"])
    return (
        "@dataclass(frozen=True, slots=True, kw_only=True)\n"
        f"class {record['name']}{f'({base})' if base else ''}:\n    {docstring}\n\n{fields}\n"
    )


def message_lines(file: SchemaFile) -> str:
    """The class statement of a message, bound to its topic, key and schema."""
    record = file.record
    binding = f'@message(topic="{record["topic"]}", key="{snake(record["key"])}", schema="{file.id}")\n'
    return binding + dataclass_lines(record, record["kind"].capitalize())


def generate(directory: Path = SCHEMAS) -> str:
    """The text of ``messages.py``; ValueError if two schemas define one nested record differently."""
    messages = list(latest(schema_files(directory)).values())
    parts: dict[str, Record] = {}
    for file in messages:
        for field in file.record["fields"]:
            for part in nested(field["type"]):
                if parts.setdefault(part["name"], part) != part:
                    raise ValueError(f"{file.path}: {part['name']} is defined otherwise in another schema")
    classes = [dataclass_lines(part) for _, part in sorted(parts.items())]
    classes += [message_lines(file) for file in messages]
    bases = {file.record["kind"].capitalize() for file in messages}
    owner = "all services" if directory == SCHEMAS else "this package"
    imports = [*sorted(bases), *(["Int32"] if any("Int32" in text for text in classes) else []), "message"]
    header = HEADER.format(owner=owner, imports=", ".join(imports))
    return "\n\n".join([header, *classes])


def generate_exports(directory: Path = SCHEMAS) -> str:
    """The text of ``__init__.py``: every class of ``messages.py``, by name."""
    names = re.findall(r"^class (\w+)", generate(directory), flags=re.MULTILINE)
    imports = "".join(f"    {name},\n" for name in sorted(names, key=str.casefold))
    exports = "".join(f'    "{name}",\n' for name in sorted(names))
    return (
        '"""The contracts between services: Avro schemas, and the message classes generated from them."""\n\n'
        f"from schemas.messages import (\n{imports})\n\n__all__ = [\n{exports}]\n"
    )


def outdated(directory: Path = SCHEMAS) -> dict[Path, str]:
    """The generated files that differ from what the schemas say, with the text they should have."""
    wanted = {directory / "messages.py": generate(directory)}
    if directory == SCHEMAS:
        wanted[directory / "__init__.py"] = generate_exports(directory)
    return {
        path: text
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="generate_messages", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument(
        "directory",
        nargs="*",
        type=Path,
        help="of further schemas, such as examples/fraud (default: those of services.toml)",
    )
    options = parser.parse_args(arguments)
    check: bool = options.check
    stale: dict[Path, str] = {}
    try:
        for directory in options.directory or [folder.path for folder in folders()]:
            stale |= outdated(directory)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in stale.items():
        if check:
            print(f"{path} is out of date: run python -m tools.generate_messages", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
