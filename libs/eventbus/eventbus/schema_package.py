"""Schema packages: the messages of a service or of several, with their Avro schemas.

A schema package is a Python package that holds ``messages.py`` (the message classes), ``ids.json`` (the pinned id of
each schema version by its name, as ``OrderCreated.v2``) and a folder a topic with the ``.avsc`` files. It may hold:

- ``upcasts.py`` with ``UPCASTS``: completes a record of an older major version, once Avro has resolved it to the
  latest schema.
- ``downcasts.py`` with ``DOWNCASTS``: makes a record of the latest version one of an older major version, or raises
  Unrepresentable. It never changes the record that it is given.
- ``written.json``: ``{"OrderCreated": "OrderCreated.v2"}`` has this message still written in that version, although
  newer ones are known. What it does not name is written in its latest version.

Upcasts and downcasts are keyed by name and major version.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from eventbus.model.messages import Message
from eventbus.model.versions import Version

Record = dict[str, Any]
Cast = Callable[[Record], Record]
MAX_ID = 2**32 - 1
"""Four bytes on the wire."""


@dataclass(frozen=True)
class SchemaPackage:
    """What one schema package holds. Ids and schemas go by version, casts by name and major version."""

    folder: Path
    classes: tuple[type[Message], ...]
    ids: Mapping[Version, int]
    schemas: Mapping[Version, Any]
    upcasts: Mapping[tuple[str, int], Cast]
    downcasts: Mapping[tuple[str, int], Cast]
    written: Mapping[str, Version]
    """By message: the version in which it is still written."""

    @classmethod
    def load(cls, name: str) -> SchemaPackage:
        """Import the package ``name``. Raises ValueError, with what to do, if it is not a complete schema package."""
        try:
            messages = importlib.import_module(f"{name}.messages")
        except ModuleNotFoundError as error:
            raise ValueError(f"{name} is no schema package: {error}") from error
        folder = Path(str(messages.__file__)).parent
        classes = _classes(messages)
        ids = _ids(folder, name)
        schemas = {version: _schema(folder, version) for version in ids}
        _require_same_messages(folder, classes, ids)
        latest = {message.name: Version.parse(message.schema) for message in classes}
        older = {version[:2] for version in ids if version.major < latest[version.name].major}
        upcasts, downcasts = (_casts(folder, name, module, older) for module in ("upcasts", "downcasts"))
        written = _written(folder, latest, ids, downcasts)
        return cls(folder, classes, ids, schemas, upcasts, downcasts, written)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ValueError, with the path, for anything else, and if a name stands twice."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_distinct)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no JSON object")
    return content


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"{next(name for name in names if names.count(name) > 1)!r} stands there more than once"
        )
    return content


def _classes(messages: ModuleType) -> tuple[type[Message], ...]:
    found = vars(messages).values()
    return tuple(c for c in found if isinstance(c, type) and issubclass(c, Message) and hasattr(c, "schema"))


def _ids(folder: Path, name: str) -> dict[Version, int]:
    path = folder / "ids.json"
    if not path.exists():
        raise ValueError(f"{path} is missing: it pins the id of each schema version of {name}")
    ids: dict[Version, int] = {}
    for text, schema_id in read_object(path).items():
        if type(schema_id) is not int or not 0 <= schema_id <= MAX_ID:
            raise ValueError(f"{path}: the id of {text} is {schema_id!r}: give a number from 0 to {MAX_ID}")
        ids[_version(path, text)] = schema_id
    return ids


def _version(path: Path, text: Any) -> Version:
    try:
        return Version.parse(str(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _require_same_messages(
    folder: Path, classes: tuple[type[Message], ...], ids: Mapping[Version, int]
) -> None:
    """That each class has an id, and each id a class."""
    for message in classes:
        if Version.parse(message.schema) not in ids:
            raise ValueError(
                f"{folder}/ids.json has no id for {message.schema}, the schema of "
                f"{message.__module__}.{message.__qualname__}: add it with an id that no schema has"
            )
    known = {message.name for message in classes}
    for version in ids:
        if version.name not in known:
            raise ValueError(
                f"{folder}/ids.json names {version}, but {folder}/messages.py has no class of that name: "
                "generate the classes anew"
            )


def _schema(folder: Path, version: Version) -> Any:
    """The schema of a version, as its file holds it. Raises ValueError."""
    paths = sorted(folder.glob(f"*/{version}.avsc"))
    if len(paths) == 1:
        return read_object(paths[0])
    named = f"{folder}/ids.json names {version}"
    if paths:
        raise ValueError(
            f"{named}, but its file is there more than once: keep one of {', '.join(map(str, paths))}"
        )
    raise ValueError(
        f"{named}, but <topic>/{version}.avsc is missing in that folder: restore the file, "
        "or take the name out of ids.json if the version was never released"
    )


def _casts(
    folder: Path, name: str, module: str, older: set[tuple[str, int]]
) -> Mapping[tuple[str, int], Cast]:
    """The functions of ``upcasts.py`` or ``downcasts.py``. Raises ValueError for one that would never be called."""
    path, content = folder / f"{module}.py", module.upper()
    if not path.exists():
        return {}
    casts: Mapping[tuple[str, int], Cast] = getattr(importlib.import_module(f"{name}.{module}"), content)
    for key in casts:
        if key not in older:
            raise ValueError(
                f"{path}: {content} has {key}, but ids.json has no such older major version: mend the key"
            )
    return casts


def _written(
    folder: Path,
    latest: Mapping[str, Version],
    ids: Mapping[Version, int],
    downcasts: Mapping[tuple[str, int], Cast],
) -> dict[str, Version]:
    """What ``written.json`` says. Raises ValueError for a version in which that message cannot be written."""
    path = folder / "written.json"
    if not path.exists():
        return {}
    written: dict[str, Version] = {}
    for name, text in read_object(path).items():
        if name not in latest:
            raise ValueError(f"{path} names {name}, but {folder} has no such message: take the line out")
        version = _version(path, text)
        if version.name != name or version not in ids:
            known = ", ".join(str(one) for one in sorted(ids) if one.name == name)
            raise ValueError(f"{path}: {name} has no version {text}: give one of {known}")
        if version > latest[name]:
            raise ValueError(
                f"{path}: {version} is newer than {latest[name]}, the version of the class {name}: "
                "generate the classes anew"
            )
        if version.major != latest[name].major and (name, version.major) not in downcasts:
            raise ValueError(
                f"{path}: {name} cannot be written as {version}: {folder}/downcasts.py has no function for "
                f"({name!r}, {version.major})"
            )
        written[name] = version
    return written
