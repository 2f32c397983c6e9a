"""Holds what every log folds to: ``python -m tools.recordings --check``, and ``--record`` for a new fold version.

A service is a package in ``services`` or ``examples`` whose ``__main__`` has ``service()``, which wires it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tools.recordings.check import problems, record
from tools.recordings.recording import Log

ROOT = Path(__file__).resolve().parents[2]
KEPT_IN = ("services", "examples")


def find(root: Path = ROOT) -> list[Log]:
    """The logs of all services. Raises ValueError for recordings of a log that its service does not have."""
    logs = []
    for folder in sorted(main.parent for kind in KEPT_IN for main in root.glob(f"{kind}/*/__main__.py")):
        wiring = ".".join((*folder.relative_to(root).parts, "__main__"))
        service = importlib.import_module(wiring).service()
        found = [Log(decider, service.schemas, folder / "recordings") for decider in service.deciders]
        recorded = {path.parent.name for path in folder.glob("recordings/*/*.json")}
        if unknown := recorded - {log.name for log in found}:
            raise ValueError(
                f"{folder / 'recordings'}: no decider of the service has the log {', '.join(sorted(unknown))}"
            )
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
        if options.record:
            print("\n".join(line for log in logs for line in record(log)) or "nothing to record")
        found = [problem for log in logs for problem in problems(log)]
    except ValueError as error:
        found = [str(error)]
    for problem in found:
        print(problem.replace(f"{ROOT}/", ""), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
