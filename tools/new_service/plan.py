"""Whether a service can be made: its name, its port, the ids of its messages, and what is there already."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from tools import registry

LONGEST = 24
"""Letters of a name: topics, containers and tables of `make ps` carry it."""
PACKAGES = ("schemas", "libs", "services", "examples")
"""Where schema packages are."""


class Refused(Exception):
    """Why no service is made, and what to do, in a sentence for a person."""


@dataclass(frozen=True)
class Plan:
    """What the template is filled in with."""

    name: str
    port: int

    @property
    def words(self) -> dict[str, str]:
        """The words of the template, ``$name`` and so on, with what they stand for."""
        return {
            "name": self.name,
            "Name": self.name.capitalize(),
            "NAME": self.name.upper(),
            "port": str(self.port),
        }


def plan(name: str, root: Path) -> Plan:
    """What a new service of this name gets. Raises Refused."""
    services = registry.load(root / "services.toml")
    _require_name(name, services)
    _require_nothing_there(name, root)
    ports = sorted(set(range(registry.BASE, registry.BASE + 10)) - {service.port for service in services})
    if not ports:
        raise Refused("services.toml has ten services, and there is no port for another.")
    return Plan(name, ports[0])


def _require_name(name: str, services: tuple[registry.Service, ...]) -> None:
    if not name:
        raise Refused("Which name? Write for example `make new-service NAME=shipping`.")
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or len(name) > LONGEST or keyword.iskeyword(name):
        raise Refused(
            f"A service cannot be named {name!r}: give small letters and digits, a letter first, {LONGEST} at most, "
            "and no word of Python."
        )
    if name in registry.RESERVED:
        raise Refused(f"The name {name} is taken by what else runs in a stack: choose another.")
    taken = {service.name for service in services} | {log.split(".")[0] for s in services for log in s.logs}
    if name in taken:
        raise Refused(f"The name {name} is taken: services.toml has it, or topics that begin with it.")


def _require_nothing_there(name: str, root: Path) -> None:
    """What an earlier try may have left behind is removed by a person, not written over."""
    title = name.capitalize()
    found = [str(path.relative_to(root)) for path in folders(name, root) if path.exists()]
    for package in PACKAGES:
        folder = root / package
        found += [str(p.relative_to(root)) for p in folder.rglob(f"{name}.*") if p.is_dir()]
        found += [
            str(p.relative_to(root))
            for p in folder.rglob("*.avsc")
            if p.name.startswith((f"{title}Done.", f"{title}Refused."))
        ]
    if found:
        raise Refused(f"There is already {', '.join(sorted(set(found)))}: remove it, or choose another name.")


def folders(name: str, root: Path) -> list[Path]:
    """The folders that belong to a service alone."""
    return [root / "services" / name, root / "tests" / "unit" / name]
