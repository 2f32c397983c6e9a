"""One run at a time in a folder: a second one is refused, and what a killed one left behind is ended."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import NotMeasured

MARK = "BENCH_FOLDER"
"""Environment variable that all processes of a run inherit."""
GRACE = 20.0
"""Seconds that what was left behind may take to end in order."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Own a folder for a run. Raises NotMeasured if another run owns it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotMeasured(
                f"another run measures in {folder}: wait for it, or set STACK_RUN_DIR."
            ) from error
        end_all(folder)
        os.environ[MARK] = str(folder)
        try:
            yield
        finally:
            del os.environ[MARK]


def end_all(folder: Path) -> None:
    """End the processes that a run in this folder has started and left behind, after a grace by force.

    A supervisor is among them, so none starts again.
    """
    deadline, number = time.monotonic() + GRACE, signal.SIGTERM
    while found := left_behind(folder):
        for pid in found:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        time.sleep(0.2)
        if time.monotonic() > deadline:
            number = signal.SIGKILL


def left_behind(folder: Path) -> list[int]:
    """The processes of a run in this folder, other than this one, as /proc tells."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            mine = mark in path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found
