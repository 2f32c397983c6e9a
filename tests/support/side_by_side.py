"""All tests in several processes at a time (pytest-xdist): which takes what, and what is ended after them.

The first process begins at the end, with the whole systems, which mostly wait; the others begin at the beginning,
with what mostly computes. They meet somewhere in the integration tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path, PurePath

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.support.waiting import eventually

STACKS_OF_THEIR_OWN = ("test_a_new_service_is_made_in_minutes", "test_documented_commands_work")
"""The end-to-end tests that share no system with the others."""
PROJECT = "orders-e2e"
"""The Compose project of the end-to-end tests."""


def part_of(nodeid: str) -> str:
    """The tests that stay together, in one process and in their order: a file, or all that share a system."""
    file, _, test = nodeid.partition("::")
    path = PurePath(file)
    if path.parent.name == "chaos":
        return "chaos"  # they share a broker
    if path.parent.name == "e2e" and path.stem not in STACKS_OF_THEIR_OWN:
        on_docker = path.stem == "test_containers" or "[docker" in test
        return "e2e on docker" if on_docker else "e2e"
    return file


class FromBothEnds(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out one part at a time: to the first process the last one that is left, to the others the first."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node is self.nodes[0]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


def end_what_is_left(run: str) -> None:
    """End what the tests of a run have left running: a process of pytest that is interrupted has no time to."""
    mine = f"PYTEST_XDIST_TESTRUNUID={run}".encode()

    def left() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended, or is somebody else's
                if mine in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    _send(signal.SIGTERM, left())
    try:
        eventually(lambda: not left(), "what the tests had started has ended", timeout=10)
    except AssertionError:
        _send(signal.SIGKILL, left())


def end_containers() -> None:
    """End the containers of the end-to-end tests, where there is a Docker engine."""
    with suppress(OSError):
        subprocess.run(["docker", "compose", "-p", PROJECT, "down", "--volumes"], capture_output=True)


def _send(number: signal.Signals, processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
