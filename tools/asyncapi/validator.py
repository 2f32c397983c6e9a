"""Asks the official AsyncAPI parser what is wrong with documents. It is installed by npm when it is first needed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "validate.mjs")
PROGRAMS = ("node", "npm")


def missing() -> list[str]:
    """The programs that it needs and that are not there."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def problems(documents: Sequence[Path]) -> dict[Path, list[str]]:
    """By document, what is wrong with it, a line each; empty if nothing. Raises RuntimeError."""
    script = _installed() / "validate.mjs"
    done = _run(["node", str(script), *map(str, documents)], script.parent)
    return {Path(path): lines for path, lines in json.loads(done).items()}


def _installed() -> Path:
    """The folder with the parser, beside what pip installs. Another lock file or script has a folder of its own."""
    content = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    folder = Path(sys.prefix) / "asyncapi" / content
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        for name in FILES:
            shutil.copy(HERE / name, made)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], made)
        made.rename(folder)  # so that an installation that was cut short is never used
    return folder


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr or done.stdout}"
        )
    return done.stdout
