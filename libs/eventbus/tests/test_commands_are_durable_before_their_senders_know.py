"""Delivery reports come on a thread of the producer; each reaches its sender on the event loop, and none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eventbus import Settings, Unavailable
from eventbus.codec import Codec
from eventbus.kafka.health import BrokerHealth
from eventbus.model.places import Partition, Position
from eventbus.service import sender as module
from eventbus.service.local_state import LocalState
from eventbus.service.progress import Progress
from eventbus.service.sender import Sender, Written
from parcels.messages import RecallParcel
from testbed.serving import until

TOPIC = RecallParcel.topic
MANY = 2_000


class Report:
    """What the client says of a record that was written."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class Error:
    """What it says of one that was not."""

    def str(self) -> str:
        return "timed out"


class Producer:
    """Writes at once. ``poll``, on the thread of the sender, reports ``burst`` records at most."""

    def __init__(self) -> None:
        self.burst, self.is_full, self.is_away = 1, False, False
        self.may_report = threading.Event()
        self._ends: dict[int, int] = {}
        self.waiting: deque[Callable[[], None]] = deque()
        """Reports that were not made yet."""

    def produce(
        self, topic: str, *, partition: int, on_delivery: Callable[[Any, Any], None], **_: Any
    ) -> None:
        if self.is_full:
            raise BufferError
        if self.is_away:
            self.waiting.append(lambda: on_delivery(Error(), None))
            return
        offset = self._ends.get(partition, 0)
        self._ends[partition] = offset + 1
        self.waiting.append(lambda: on_delivery(None, Report(offset)))

    def poll(self, timeout: float) -> None:
        if self.may_report.wait(timeout):
            for _ in range(min(self.burst, len(self.waiting))):
                self.waiting.popleft()()

    def flush(self, timeout: float) -> None:
        while self.waiting:
            self.waiting.popleft()()


class CountingLoop:
    """The loop of the test; counts how often it was woken."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self.woken = loop, 0
        self.create_future, self.time, self.call_at = loop.create_future, loop.time, loop.call_at

    def call_soon_threadsafe(self, call: Callable[[], None]) -> None:
        self.woken += 1
        self._loop.call_soon_threadsafe(call)


class Bench:
    """A sender with a producer of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.producer, self.loop = Producer(), CountingLoop()
        monkeypatch.setattr(module, "command_producer", lambda settings: self.producer)
        self.progress = Progress(asyncio.get_running_loop(), {TOPIC}, 2)
        store: Any = None
        loop: Any = self.loop
        local = LocalState(store, BrokerHealth(), 2, dict, dict, self.progress, lambda: True)
        self.sender = Sender("parcel", Settings(), Codec("parcels"), loop, local)

    def partition(self, key: str) -> int:
        return self.sender._local.partition_of(TOPIC, key).number


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(monkeypatch)
    yield bench
    bench.producer.may_report.set()
    await asyncio.to_thread(bench.sender.close)


def command(number: int) -> RecallParcel:
    return RecallParcel(parcel_id=f"p{number}", reason="lost")


@pytest.mark.parametrize("burst", [1, 7, MANY])
async def test_each_sender_learns_its_own_offset_however_the_reports_come(bench: Bench, burst: int) -> None:
    bench.producer.burst = burst
    bench.producer.may_report.set()
    places = await asyncio.gather(*(bench.sender.send(command(n), None, None) for n in range(MANY)))
    by_partition: dict[int, list[int]] = {0: [], 1: []}
    for number, place in enumerate(places):
        assert place.partition == bench.partition(f"p{number}")
        by_partition[place.partition].append(place.offset)
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())
    assert bench.sender.written() == {
        Partition(TOPIC, n): Written(0, len(offsets)) for n, offsets in by_partition.items()
    }


async def test_the_loop_is_woken_once_for_all_that_comes_before_it_looks(bench: Bench) -> None:
    sending = [asyncio.ensure_future(bench.sender.write(command(n), None, None)) for n in range(100)]
    await until(lambda: len(bench.producer.waiting) == 100)
    reporting = threading.Thread(target=bench.producer.flush, args=(0,))
    reporting.start()
    reporting.join()  # the loop stands still meanwhile
    assert bench.loop.woken == 1
    assert len({(place.partition, place.offset) for place in await asyncio.gather(*sending)}) == 100
    assert bench.loop.woken == 1


async def test_the_first_command_after_a_pause_waits_for_no_other_and_a_burst_goes_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER", 60.0)
    sending = [asyncio.ensure_future(bench.sender.write(command(n), None, None)) for n in range(100)]
    await asyncio.sleep(0)
    assert len(bench.producer.waiting) == 1
    monkeypatch.setattr(module, "GATHER", 0.0)
    bench.sender._hand_over()  # as the loop does once the time has passed
    assert len(bench.producer.waiting) == 100
    late = asyncio.ensure_future(bench.sender.write(command(100), None, None))
    await asyncio.sleep(0)
    assert len(bench.producer.waiting) == 101, "it waits for nothing, since a pause was before it"
    bench.producer.may_report.set()
    offsets: dict[int, list[int]] = {0: [], 1: []}
    for place in await asyncio.gather(*sending, late):
        offsets[place.partition].append(place.offset)
    assert all(found == list(range(len(found))) for found in offsets.values()), "in the order they came"


async def test_what_was_gathered_is_written_before_the_sender_closes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER", 60.0)
    sending = [asyncio.ensure_future(bench.sender.write(command(n), None, None)) for n in range(3)]
    await asyncio.sleep(0)
    await asyncio.to_thread(bench.sender.close)
    assert len({(place.partition, place.offset) for place in await asyncio.gather(*sending)}) == 3


async def test_nobody_hears_of_a_command_before_its_report(bench: Bench) -> None:
    sending = asyncio.ensure_future(bench.sender.send(command(1), None, None))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(sending), 0.05)
    assert not bench.sender.written()
    bench.producer.may_report.set()
    assert (await sending).offset == 0


async def test_a_command_that_is_not_durable_is_unavailable(bench: Bench) -> None:
    bench.producer.is_away = True
    bench.producer.may_report.set()
    for send in (bench.sender.send, bench.sender.write):
        with pytest.raises(Unavailable, match="the command is not durable: timed out"):
            await send(command(1), None, None)
    assert not bench.sender.written()
    assert_nothing_is_kept(bench)


async def test_too_many_commands_at_once_are_unavailable(bench: Bench) -> None:
    bench.producer.is_full = True
    for send in (bench.sender.send, bench.sender.write):
        with pytest.raises(Unavailable, match="too many commands wait to be written"):
            await send(command(1), None, None)
    assert_nothing_is_kept(bench)


async def test_of_a_command_whose_answer_nobody_asks_for_no_event_is_kept(bench: Bench) -> None:
    writing = asyncio.ensure_future(bench.sender.write(command(1), None, None))
    await asyncio.sleep(0)
    assert len(bench.producer.waiting) == 1, "it is under way"
    assert_nothing_is_kept(bench)
    bench.producer.may_report.set()
    assert await writing == Position(TOPIC, bench.partition("p1"), 0)
    assert_nothing_is_kept(bench)


async def test_a_sender_that_waits_no_more_leaves_its_command_counted(bench: Bench) -> None:
    writing = asyncio.ensure_future(bench.sender.write(command(1), None, None))
    await asyncio.sleep(0)
    writing.cancel()
    bench.producer.may_report.set()
    await until(lambda: bool(bench.sender.written()))
    assert writing.cancelled()


def assert_nothing_is_kept(bench: Bench) -> None:
    answers = bench.progress._answers
    assert (answers._under_way, answers._early, dict(answers._answers)) == ({}, {}, {})
