"""The tree of another commit, with an environment of its own, for rows that compare with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import NotMeasured
from tools.stack.settings import ROOT

READY = ".venv/.stack"
"""What ``make`` writes once the environment has all that the services need."""
LONGEST = 600.0
"""Seconds that the environment may take."""


def tree_of(commit: str, folder: Path) -> Path:
    """The files of a commit below ``folder``, ready to run; made once. Raises NotMeasured."""
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}").stdout
    if not found:
        raise NotMeasured(f"BASE={commit} is no commit of this repository.")
    tree = folder / found.decode().strip()
    if (tree / READY).exists():
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    files = _git("archive", "--format=tar", tree.name).stdout
    subprocess.run(["tar", "--extract", "--directory", str(tree)], input=files, check=True)
    # what `make bench` was called with is not meant for this make
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", READY, f"PYTHON={sys.executable}"],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    if done.returncode:
        raise NotMeasured(f"`make {READY}` in {tree} failed: {(done.stdout + done.stderr)[-1000:]}")
    return tree


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True)
