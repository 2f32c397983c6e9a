"""While calls are under way, the processor waits until the last has ended, and no longer than it may."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from eventbus.model.decider import Outcome, Request
from eventbus.model.record import Raw
from eventbus.processing.calls import Calls
from eventbus.processing.work import WorkItem
from eventbus.settings import Settings
from testbed.bench import REACTOR, sent

LONG = 60.0
"""Seconds that no test takes."""


@dataclass(frozen=True, slots=True)
class Ask(Request):
    until: threading.Event
    """What is asked answers once this is set."""


@dataclass(frozen=True, slots=True)
class Answer(Outcome):
    pass


async def call(request: Request) -> Outcome:
    assert isinstance(request, Ask)
    await asyncio.to_thread(request.until.wait, LONG)
    return Answer()


@pytest.fixture
def calls() -> Iterator[Calls]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Calls(loop, Settings())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def begin(calls: Calls, offset: int = 0) -> threading.Event:
    """Begin a call; it ends once the event that this returns is set."""
    until, message = threading.Event(), sent(str(offset))
    raw = Raw(message.topic, 0, offset, message.key.encode(), b"", [], 0)
    calls.start(WorkItem(replace(REACTOR, call=call), raw, message.key, message, "c"), Ask(until))
    return until


def waited(calls: Calls, seconds: float) -> float:
    began = time.monotonic()
    calls.wait(seconds)
    return time.monotonic() - began


def test_it_waits_until_the_last_call_has_ended(calls: Calls) -> None:
    first, second = begin(calls, 0), begin(calls, 1)
    first.set()
    assert waited(calls, 0.05) >= 0.05, "one is under way"
    threading.Timer(0.05, second.set).start()
    assert waited(calls, LONG) < LONG / 2
    assert len(calls.collect()) == 2
    assert calls.in_flight() == 0


def test_a_call_that_begins_after_others_have_ended_is_waited_for_too(calls: Calls) -> None:
    begin(calls, 0).set()
    calls.wait(LONG)
    later = begin(calls, 1)
    assert waited(calls, 0.05) >= 0.05
    assert len(calls.collect()) == 1
    later.set()
    calls.wait(LONG)
    assert len(calls.collect()) == 1


def test_what_was_collected_ends_no_wait(calls: Calls) -> None:
    """Otherwise a processor would turn without a rest while a call goes on."""
    begin(calls, 0).set()
    calls.wait(LONG)
    calls.collect()
    assert waited(calls, 0.05) >= 0.05
