"""Schema packages: the messages of a service or of several, with their Avro schemas.

A schema package is a Python package that holds ``messages.py`` (the message classes), ``ids.json`` (the pinned id of
each schema version by its name, as ``OrderCreated.v2``), a folder a topic with the ``.avsc`` files, and, where Avro's
resolution is not enough to read an older version, ``upcasts.py`` with ``UPCASTS``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventbus.model.messages import Message

Record = dict[str, Any]
Upcast = Callable[[Record], Record]


@dataclass(frozen=True)
class SchemaPackage:
    """What one schema package holds. Schemas and ids go by the name of a version, upcasts by name and version."""

    folder: Path
    classes: tuple[type[Message], ...]
    ids: Mapping[str, int]
    schemas: Mapping[str, Any]
    upcasts: Mapping[tuple[str, int], Upcast]

    @classmethod
    def load(cls, name: str) -> SchemaPackage:
        """Import the package ``name``. Raises ValueError, with what to do, if it is not a complete schema package."""
        try:
            messages = importlib.import_module(f"{name}.messages")
        except ModuleNotFoundError as error:
            raise ValueError(f"{name} is no schema package: {error}") from error
        folder = Path(str(messages.__file__)).parent
        found = vars(messages).values()
        classes = tuple(
            c for c in found if isinstance(c, type) and issubclass(c, Message) and hasattr(c, "schema")
        )
        if not (folder / "ids.json").exists():
            raise ValueError(f"{folder}/ids.json is missing: it pins the id of each schema version of {name}")
        ids: dict[str, int] = json.loads((folder / "ids.json").read_text())
        schemas = {full: _schema(folder, full) for full in ids}
        for message in classes:
            if message.schema not in ids:
                raise ValueError(
                    f"{folder}/ids.json has no id for {message.schema}, the schema of "
                    f"{message.__module__}.{message.__qualname__}: add it with an id that no schema has"
                )
        known = {message.name for message in classes}
        for full in ids:
            if full.rsplit(".v", 1)[0] not in known:
                raise ValueError(
                    f"{folder}/ids.json names {full}, but {name}.messages has no class of that name: "
                    "generate the classes anew"
                )
        upcasts: Mapping[tuple[str, int], Upcast] = {}
        if (folder / "upcasts.py").exists():
            upcasts = importlib.import_module(f"{name}.upcasts").UPCASTS
        return cls(folder, classes, ids, schemas, upcasts)


def _schema(folder: Path, full: str) -> Any:
    """The schema of a version, as its file holds it. Raises ValueError."""
    paths = sorted(folder.glob(f"*/{full}.avsc"))
    if len(paths) == 1:
        return json.loads(paths[0].read_text())
    named = f"{folder}/ids.json names {full}"
    if paths:
        raise ValueError(
            f"{named}, but its file is there more than once: keep one of {', '.join(map(str, paths))}"
        )
    raise ValueError(
        f"{named}, but <topic>/{full}.avsc is missing in that folder: restore the file, "
        "or take the name out of ids.json if the version was never released"
    )
