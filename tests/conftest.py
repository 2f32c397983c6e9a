"""What holds for all tests, and how ``make test`` shares them out between processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests.support.side_by_side import FromBothEnds, end_containers, end_what_is_left
from tools.stack.jars import find_jars
from tools.stack.java import find_java
from tools.stack.settings import StackError, StackSettings

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

RUN = pytest.StashKey[str]()
"""The id of a run in several processes, which all that they start carry in their environment."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FromBothEnds:
    with suppress(StackError):  # what needs a broker says so itself
        # Fetched once, before several processes would do it.
        find_jars(os.environ, StackSettings.from_env(os.environ).cache_dir, find_java(os.environ))
    config.option.loadscopereorder = False  # the parts stay in the order of collection
    return FromBothEnds(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("numprocesses", None):
        session.config.stash[RUN] = session.config.option.testrunuid = uuid.uuid4().hex


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    yield
    if run := session.config.stash.get(RUN, ""):
        end_what_is_left(run)
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            end_containers()
