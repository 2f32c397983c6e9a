"""CPU time of processes, all their threads included, as Linux counts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
"""Seconds of a unit of /proc/PID/stat; so measure over seconds."""


class ProcessEnded(Exception):
    """A process that is measured is not there any more; the message names it."""


def seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds (user and system) that each process has used, by the name it is given. Raises ProcessEnded."""
    return {name: _of(name, pid) for name, pid in pids.items()}


def _of(name: str, pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise ProcessEnded(f"{name} (process {pid}) ended while it was measured: see its log.") from error
    return (int(fields[11]) + int(fields[12])) * TICK


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds by name that were used between two looks at the same processes."""
    return {name: after[name] - before[name] for name in before}
