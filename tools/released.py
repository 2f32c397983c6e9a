"""Whether a version of a message was released: the main branch has its file, so replicas may know it."""

from __future__ import annotations

import subprocess
from pathlib import Path

TRUNKS = ("origin/HEAD", "origin/main", "main")
"""The main branch: the first of these that git knows."""


class Refused(Exception):
    """What was asked for cannot be done: why, and what to do instead."""


def require_unreleased(path: Path) -> None:
    """That the main branch does not have this file. Raises Refused."""
    trunks = (name for name in TRUNKS if _git(path, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"))
    trunk = next(trunks, None)
    if trunk is None:
        raise Refused(
            f"{path}: git has no main branch that says whether it was released; it stays as it is pinned"
        )
    if _git(path, "cat-file", "-e", f"{trunk}:./{path.name}"):
        raise Refused(
            f"{path.stem} was released: {trunk} has its file, so replicas may know it. Bring it back with "
            f"`git checkout {trunk} -- {path}`, and make a new version with `make schema-version`"
        )


def _git(path: Path, *arguments: str) -> bool:
    try:
        command = ["git", "-C", str(path.parent), *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
