"""A service's processor and its Kafka clients are batch work to the scheduler; what answers HTTP is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.running import SERVICES, LocalStack

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux knows batch work")


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_event_loop_interrupts_others(stack: LocalStack, service: str) -> None:
    pid = stack.pids()[service]
    kafka = {thread for thread in _threads(pid) if _name(thread).startswith("rdk:")}
    assert kafka
    assert {os.sched_getscheduler(int(thread.name)) for thread in kafka} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(pid) == os.SCHED_OTHER


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _name(thread: Path) -> str:
    return (thread / "comm").read_text()
