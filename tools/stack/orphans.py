"""Processes that outlived their supervisord (which can only have been killed)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

GRACE = 20.0


def orphans(run_dir: Path) -> list[int]:
    """Ids of processes that a supervisord started for this run directory (as /proc tells)."""
    mine = f"STACK_RUN_DIR={run_dir}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            entries = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mine in entries and b"SUPERVISOR_ENABLED=1" in entries and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def end_orphans(run_dir: Path) -> int:
    """End them in order, after a grace by force; returns how many there were."""
    found = orphans(run_dir)
    for pid in found:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while left := set(orphans(run_dir)) & set(found):
        if time.monotonic() > deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.1)
    return len(found)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
