"""The environment of a peer: made from its lock file when it is first needed, with the hashes of everything in it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import NotMeasured

PEERS = Path(__file__).parent
NEWEST = 14
"""The newest Python 3 that is looked for."""


def python_of(peer: str, below: Path, needs: tuple[int, int]) -> Path:
    """The interpreter of the peer's environment below a directory. ``needs``: the oldest Python that will do.

    Raises NotMeasured if there is no such Python, or the environment cannot be made.
    """
    lock, folder = PEERS / peer / "requirements.txt", below / peer
    made_of = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp, python = folder / "lock.sha256", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == made_of:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    for command in ([interpreter(needs), "-m", "venv", folder], [*install, "-r", lock]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip()[-500:]
            raise NotMeasured(f"The environment of {peer} cannot be made from {lock}: {said}")
    stamp.write_text(made_of)
    return python


def interpreter(needs: tuple[int, int]) -> str:
    """A Python that is new enough: this one, or the newest on the path. Raises NotMeasured."""
    if sys.version_info >= needs:
        return sys.executable
    for minor in range(NEWEST, needs[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # some that are found only say that they are not installed
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    raise NotMeasured(
        f"Python {needs[0]}.{needs[1]} or newer was not found on the path: install it for this row."
    )


def version_of(python: Path, package: str) -> str:
    """Which version of a package an environment holds."""
    ask = f"from importlib import metadata; print(metadata.version({package!r}))"
    return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
