"""Holds what every log folds to: ``python -m tools.recordings --check``, and ``--record`` for a new fold version.

A service names its deciders in ``<service>/recordings/__init__.py`` as ``deciders``; its recordings stand beside.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from eventbus.codec import Codec
from tools.recordings.check import problems, record
from tools.recordings.recording import Log

ROOT = Path(__file__).resolve().parents[2]
KEPT_IN = ("services", "examples")
"""Folders of services: every package in them that can be run."""


def find(root: Path = ROOT) -> list[Log]:
    """The logs of all services, by their packages ``recordings``. Raises ValueError for a service that has none."""
    logs = []
    for service in sorted(main.parent for kind in KEPT_IN for main in root.glob(f"{kind}/*/__main__.py")):
        folder = service / "recordings"
        if not (folder / "__init__.py").exists():
            raise ValueError(
                f"{service} records none of its logs: add {folder / '__init__.py'} with `deciders = (...,)`"
            )
        package = ".".join(folder.relative_to(root).parts)
        found = [Log(decider, folder) for decider in importlib.import_module(package).deciders]
        held = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
        if unknown := held - {log.name for log in found}:
            raise ValueError(f"{folder}: no decider of {package} has the log {', '.join(sorted(unknown))}")
        logs += found
    return logs


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="recordings", description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="write nothing; fail if a recording does not hold")
    what.add_argument("--record", action="store_true", help="record a new fold version, and complete drafts")
    options = parser.parse_args(arguments)
    try:
        logs = find()
        codec = Codec("schemas")
        if options.record:
            print("\n".join(line for log in logs for line in record(log, codec)) or "nothing to record")
        found = [problem for log in logs for problem in problems(log, codec)]
    except ValueError as error:
        found = [str(error)]
    print(
        "\n".join(problem.replace(f"{ROOT}/", "") for problem in found),
        end="\n" if found else "",
        file=sys.stderr,
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
