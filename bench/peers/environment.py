"""The environment of a peer: made from its lock file when it is first needed, with the hashes of everything in it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import NotMeasured

PEERS = Path(__file__).parent


def python_of(peer: str, below: Path, interpreter: str = sys.executable) -> Path:
    """The interpreter of the peer's environment below a directory. Raises NotMeasured if it cannot be made."""
    lock = PEERS / peer / "requirements.txt"
    made_of = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder = below / peer
    stamp, python = folder / "lock.sha256", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == made_of:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    install = [
        str(python),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--require-hashes",
    ]
    for command in ([interpreter, "-m", "venv", str(folder)], [*install, "-r", str(lock)]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise NotMeasured(
                f"the environment of {peer} cannot be made from {lock}: {done.stderr.strip()[-500:]}"
            )
    stamp.write_text(made_of)
    return python


def version_of(python: Path, package: str) -> str:
    """Which version of a package an environment holds."""
    ask = f"from importlib import metadata; print(metadata.version({package!r}))"
    return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
