"""The schema packages as folders of files: those of ``services.toml``, and the library's own.

Beside its ``.avsc`` files, a folder holds what must be kept for ever. ``ids.json`` has the schema id of each version,
``released.json`` the schema of each version with its docs left out, ``golden.json`` records of each version with the
bytes that they were written as.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eventbus.model.versions import Version
from eventbus.schema_package import read_object
from tools import registry

Json = dict[str, Any]
Record = dict[str, Any]
LIBRARY = "eventbus.admin"
"""What operators say: every process knows these messages."""


class SchemaFile(NamedTuple):
    """One released version of one message, and where it stands."""

    path: Path
    version: Version
    record: Record

    @property
    def name(self) -> str:
        """Of the message: ``OrderCreated``."""
        return self.version.name

    @property
    def id(self) -> str:
        """Name and version as everything else refers to them: ``OrderCreated.v2``."""
        return str(self.version)


def schema_files(directory: Path) -> list[SchemaFile]:
    """Every version in ``directory``, by topic, name and version. Raises ValueError for a file that is none."""
    files = [_schema_file(path) for path in directory.glob("*/*.avsc")]
    return sorted(files, key=lambda file: (file.path.parent.name, file.version))


def _schema_file(path: Path) -> SchemaFile:
    record = read_object(path)
    try:
        version = Version.parse(path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    named = (path.parent.name, version.name)
    if named != (record.get("topic"), record.get("name")):
        raise ValueError(f"{path}: must be <topic>/<Name>.v<N>.avsc, by the record's own topic and name")
    return SchemaFile(path, version, record)


def latest(files: Iterable[SchemaFile]) -> dict[str, SchemaFile]:
    """The highest version of each message, by name. ``files`` has the versions of a name ascending."""
    return {file.name: file for file in files}


@dataclass(frozen=True)
class Folder:
    """One schema package: its name, and where its files are."""

    name: str
    path: Path

    def files(self) -> list[SchemaFile]:
        """Every version in it, by topic, name and version. Raises ValueError for a file that is none."""
        return schema_files(self.path)

    def load(self, name: str) -> Json:
        """``ids``, ``released``, ``golden`` or ``written``; empty if there is no such file. Raises ValueError."""
        path = self.path / f"{name}.json"
        return read_object(path) if path.exists() else {}

    def save(self, name: str, content: Json) -> None:
        """Write one of these files; an empty one is removed."""
        path = self.path / f"{name}.json"
        if not content:
            path.unlink(missing_ok=True)
        elif name == "released":
            lines = ",\n".join(f"  {json.dumps(key)}: {_text(value)}" for key, value in content.items())
            path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        else:
            path.write_text(_text(content, indent=2) + "\n", encoding="utf-8")


def _text(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def folders(names: Iterable[str] = (), *, beside: Iterable[str] = ()) -> list[Folder]:
    """The folders of these packages; without a name, of all that services use, of the library's own, and ``beside``.

    Raises ValueError for a name of which there is no package.
    """
    wanted = tuple(names) or (*registry.SCHEMAS, LIBRARY, *beside)
    return [Folder(name, _path(name)) for name in dict.fromkeys(wanted)]


def _path(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"there is no package {name}: name it as in services.toml, such as examples.fraud")
    return Path(next(iter(spec.submodule_search_locations)))


def taken(all_folders: Iterable[Folder]) -> Iterator[tuple[Any, Folder, str]]:
    """Each id that is pinned, with its folder and its version."""
    for folder in all_folders:
        for version, schema_id in folder.load("ids").items():
            yield schema_id, folder, version
