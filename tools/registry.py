"""The services there are: ``services.toml``, read and checked. Standard library only, as tools/stack.

A table is a service, its name is the consumer group and stands before the service's topics. Its keys:

    port        of the first replica, where the stack begins at 8000: 8000 to 8009
    package     the Python package that ``python -m`` runs; its ``__main__`` has ``service()``, which wires it
    dockerfile  of its image, built from the top of the repository
    schemas     packages with the messages that it reads and writes (default: ["schemas"])
    logs        the event logs that it alone writes (default: ["<name>.events"])
    start       whether `make up` starts it (default: true); `make scale <name>=1` starts any

``python -m tools.registry`` prints the names.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILE = "STACK_SERVICES"
"""The environment variable that names another file than ``services.toml``."""
BASE = 8000
CONTAINERS = ("kafka", "simulator", "gateway", "topics", "inbox")
"""What else runs in a stack, under these names."""
RESERVED = (*CONTAINERS, "stack", "eventbus")
"""Names that no service can have: the variables ``STACK_...`` and ``EVENTBUS_...`` are not those of a service."""
REQUIRED = {"port": int, "package": str, "dockerfile": str}
OPTIONAL = {"schemas": list, "logs": list, "start": bool}
TYPES = {int: "a number", str: "a text", list: "a list of texts", bool: "true or false"}


class RegistryError(Exception):
    """What is wrong in the registry, where, and what is expected instead."""


@dataclass(frozen=True)
class Service:
    """One service: what the keys of its table say."""

    name: str
    port: int
    package: str
    dockerfile: str
    schemas: tuple[str, ...]
    logs: tuple[str, ...]
    start: bool

    @property
    def offset(self) -> int:
        """What its port is beyond the first port of a stack."""
        return self.port - BASE

    @property
    def wiring(self) -> str:
        """Where its ``service()`` is, as ``eventbus topics create`` takes it."""
        return f"{self.package}.__main__:service"

    @property
    def retry(self) -> str:
        """The topic in which its messages wait for their next attempt."""
        return f"{self.name}.retry"

    @property
    def dead_letters(self) -> str:
        """The topic of its dead letters."""
        return f"{self.name}.dlq"

    @property
    def admin(self) -> str:
        """The topic of the operators' commands to it."""
        return f"{self.name}.admin"


def load(path: Path) -> tuple[Service, ...]:
    """The services of a file, in its order. Raises RegistryError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"{path} is not TOML: {error}.") from error
    services = tuple(_service(path, name, table) for name, table in tables.items())
    if not services:
        raise RegistryError(f"{path} holds no service: write one table for each, such as [order].")
    _require_distinct(path, "port", ((s.name, s.port) for s in services))
    _require_distinct(path, "package", ((s.name, s.package) for s in services))
    _require_distinct(path, "log", ((s.name, log) for s in services for log in s.logs))
    return services


def _service(path: Path, name: str, table: Any) -> Service:
    where = f"{path}, [{name}]"
    if not isinstance(table, Mapping):
        raise RegistryError(
            f"{path}: {name} stands outside of a service: write it below one, such as [order]."
        )
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or name in RESERVED:
        raise RegistryError(
            f"{where}: a service has a name of small letters and digits, none of {', '.join(RESERVED)}."
        )
    known = {**REQUIRED, **OPTIONAL}
    for key, value in table.items():
        if key not in known:
            raise RegistryError(f"{where}: {key} is unknown: the keys are {', '.join(known)}.")
        if type(value) is not known[key] or (isinstance(value, list) and not _texts(value)):
            raise RegistryError(f"{where}: {key} is {value!r}: give {TYPES[known[key]]}.")
    for key in REQUIRED:
        if key not in table:
            raise RegistryError(f"{where}: {key} is missing: give {TYPES[REQUIRED[key]]}.")
    service = Service(
        name,
        table["port"],
        table["package"],
        table["dockerfile"],
        tuple(table.get("schemas", ("schemas",))),
        tuple(table.get("logs", (f"{name}.events",))),
        table.get("start", True),
    )
    _require_sense(where, service)
    return service


def _texts(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(text, str) and text for text in value)


def _require_sense(where: str, service: Service) -> None:
    # Replica k listens at +10·k, the payment simulator at +90.
    if not 0 <= service.offset <= 9:
        raise RegistryError(f"{where}: port is {service.port}: give one from {BASE} to {BASE + 9}.")
    for key, packages in {"package": [service.package], "schemas": service.schemas}.items():
        for package in packages:
            if not all(part.isidentifier() for part in package.split(".")):
                raise RegistryError(f"{where}: {key} has {package!r}: give a package such as services.order.")
    for log in service.logs:
        if not log.endswith(".events"):
            raise RegistryError(f"{where}: logs has {log!r}: the name of an event log ends in .events.")


def _require_distinct(path: Path, what: str, found: Iterable[tuple[str, object]]) -> None:
    owners: dict[object, str] = {}
    for name, value in found:
        if value in owners:
            raise RegistryError(
                f"{path}: the {what} {value} is that of {owners[value]} and of {name}: give each its own."
            )
        owners[value] = name


def _known() -> tuple[Service, ...]:
    try:
        return load(Path(os.environ.get(FILE) or ROOT / "services.toml"))
    except RegistryError as error:
        # Every command reads the registry as it is imported: who edited it shall see the sentence, not a traceback.
        sys.exit(str(error))


SERVICES = _known()
"""Every service, in the order of the file."""
STARTED = tuple(service for service in SERVICES if service.start)
"""Those that `make up` starts."""
BY_NAME = {service.name: service for service in SERVICES}
SCHEMAS = tuple(dict.fromkeys(package for service in SERVICES for package in service.schemas))
"""The packages that hold the messages of all services."""


if __name__ == "__main__":
    print(*BY_NAME)
