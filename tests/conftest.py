"""What holds for all tests, and how ``make test`` shares them out between processes (pytest-xdist).

One process begins at the end, with the whole systems, which mostly wait; the others begin at the beginning, with what
mostly computes. They meet somewhere in the integration tests.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import PurePath

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tools.stack.jars import find_jars
from tools.stack.java import find_java
from tools.stack.settings import StackError, StackSettings

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

STACKS_OF_THEIR_OWN = ("test_a_new_service_is_made_in_minutes", "test_documented_commands_work")
"""The end-to-end tests that share no system with the others."""


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


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FromBothEnds:
    with suppress(StackError):  # what needs a broker says so itself
        # Fetched once, before several processes would do it.
        find_jars(os.environ, StackSettings.from_env(os.environ).cache_dir, find_java(os.environ))
    config.option.loadscopereorder = False  # the parts stay in the order of collection
    return FromBothEnds(config, log)
