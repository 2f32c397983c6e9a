"""A message with all its released versions, as its schema package holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventbus import Message
from eventbus.model.versions import Version
from eventbus.schema_package import SchemaPackage, read_object
from tools.registry import ROOT


@dataclass(frozen=True)
class Release:
    """One released version of a message."""

    version: Version
    id: int
    schema: Mapping[str, Any]
    path: str
    """Of its file, from the top of the repository."""
    sample: Mapping[str, Any] | None = None
    """A record as JSON, from ``golden.json``."""


@dataclass(frozen=True)
class Contract:
    """A message with all its released versions."""

    cls: type[Message]
    releases: tuple[Release, ...]
    """Oldest first."""
    written: Release
    """The version that processes write today."""
    upcasts: Mapping[int, str]
    """By major version, how an older body becomes the latest one."""

    @property
    def name(self) -> str:
        return self.cls.name

    @property
    def latest(self) -> Release:
        return self.releases[-1]

    @property
    def kind(self) -> str:
        """``event`` or ``command``."""
        return str(self.latest.schema["kind"])


def contracts_of(package: SchemaPackage) -> Iterator[Contract]:
    """The messages of a package, in the order of its classes."""
    paths = {path.stem: path for path in package.folder.glob("*/*.avsc")}
    golden = package.folder / "golden.json"
    samples = read_object(golden) if golden.exists() else {}
    for cls in package.classes:
        releases = tuple(
            Release(
                version,
                package.ids[version],
                package.schemas[version],
                _from_top(paths[str(version)]),
                next((one["record"] for one in samples.get(str(version), ())), None),
            )
            for version in sorted(package.ids)
            if version.name == cls.name
        )
        named = package.written.get(cls.name, releases[-1].version)
        written = next(release for release in releases if release.version == named)
        upcasts = {
            major: " ".join((function.__doc__ or "").split())
            for (name, major), function in sorted(package.upcasts.items())
            if name == cls.name
        }
        yield Contract(cls, releases, written, upcasts)


def _from_top(path: Path) -> str:
    return path.resolve().relative_to(ROOT).as_posix()
