"""A thread that does batch work, and all that it starts, wakes up without taking a processor from another."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from eventbus.service.batch_work import as_batch_work


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux knows batch work")
def test_the_thread_and_those_it_starts_are_batch_work_and_no_other() -> None:
    policies = {}

    def note(name: str) -> None:
        policies[name] = os.sched_getscheduler(0)

    def work() -> None:
        as_batch_work()
        note("itself")
        inner = threading.Thread(target=note, args=["what it starts"])
        inner.start()
        inner.join()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    note("another")
    assert policies == {
        "itself": os.SCHED_BATCH,
        "what it starts": os.SCHED_BATCH,
        "another": os.SCHED_OTHER,
    }


def test_a_system_that_refuses_it_is_told_of_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "SCHED_BATCH", 3, raising=False)
    monkeypatch.setattr(os, "sched_param", int, raising=False)
    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    with caplog.at_level(logging.INFO, logger="eventbus.runtime"):
        as_batch_work()
    assert "not here" in caplog.text


def test_a_system_that_does_not_know_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "SCHED_BATCH", raising=False)
    monkeypatch.delattr(os, "sched_setscheduler", raising=False)
    as_batch_work()
