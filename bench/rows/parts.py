"""Rows of single parts, each measured by a program of its own: ``bench.parts``."""

from __future__ import annotations

import subprocess
import sys

from bench.processes import NotMeasured
from bench.result import Row, from_json
from bench.run import Run
from tools.stack.settings import ROOT

LONGEST = 1800.0
"""Seconds that a program may take."""


def part(bench: Run, name: str) -> list[Row]:
    """The rows that ``python -m bench.parts.<name> --json`` prints. Raises NotMeasured if it fails."""
    bench.say(f"{name} ...")
    command = [str(bench.python), "-m", f"bench.parts.{name}", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sys.stderr, text=True) as program:
        try:
            printed, _ = program.communicate(timeout=LONGEST)
        except BaseException:
            program.terminate()  # it ends what it has started, and is waited for
            raise
    if program.returncode:
        raise NotMeasured(f"`{' '.join(command[1:])}` ended with status {program.returncode}.")
    try:
        return from_json(printed)
    except ValueError as error:
        raise NotMeasured(f"`{' '.join(command[1:])}` printed {error}.") from error
