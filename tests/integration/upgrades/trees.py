"""Code trees: what a replica is started from. The code of an older commit, and copies of today's that are changed."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import fastavro

from eventbus.model.versions import Version
from tests.support.processes import ROOT

LANDED = Path(__file__).with_name("landed")
"""The archive of an older commit: its code, and a volume that it wrote (README.md there)."""
CODE = ("libs/eventbus/eventbus", "schemas", "services", "examples")


def landed_code(into: Path) -> Path:
    """Unpack the archived code; returns its folder."""
    with tarfile.open(LANDED / "code.tar.xz") as archive:
        archive.extractall(into, filter="data")
    return into


def code_of_commit(commit: str, into: Path) -> Path:
    """What services need of a commit of this repository; returns the folder. Raises CalledProcessError."""
    made = subprocess.run(
        ["git", "archive", commit, *CODE], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(into, filter="data")
    return into


def held_back(tree: Path, older: Path) -> Path:
    """Have the code of a tree write each message in the latest version that an older tree knows; returns the tree."""
    known, today = _latest(older), _latest(tree)
    written = {name: str(version) for name, version in known.items() if today[name] != version}
    (tree / "schemas" / "written.json").write_text(json.dumps(written))
    return tree


def _latest(tree: Path) -> dict[str, Version]:
    """The latest version of each message that the code of a tree knows."""
    versions = map(Version.parse, json.loads((tree / "schemas" / "ids.json").read_text()))
    return {version.name: version for version in sorted(versions)}


def wire_value(tree: Path, version: str, record: dict[str, Any]) -> bytes:
    """A value as the code in a tree would write it, of any version there is (``OrderCreated.v1``)."""
    (file,) = (tree / "schemas").glob(f"*/{version}.avsc")
    ids = json.loads((tree / "schemas" / "ids.json").read_text())
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(file.read_text())), record)
    return b"\0" + struct.pack(">I", ids[version]) + body.getvalue()
