"""The loads of the bench without a system: what is counted, from when, and what becomes of failures."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from bench import cpu
from bench.load import closed_loop, open_loop, run
from bench.processes import Module, NotMeasured
from bench.waiting import Ends

ME = {"me": os.getpid()}


async def after(seconds: float) -> float:
    """Done when the time is over."""
    await asyncio.sleep(seconds)
    return time.monotonic()


def test_clients_of_a_closed_loop_wait_for_one_thing_before_they_begin_the_next() -> None:
    under_way, most = 0, 0

    async def do(number: int) -> float:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        ended = await after(0.02)
        under_way -= 1
        return ended

    found = run(closed_loop(3, 0.1, 0.4, do, ME), 1)

    assert most == 3
    assert found.done == len(found.latencies)
    assert 0 < found.rate <= 3 / 0.015
    assert found.latencies == sorted(found.latencies) and found.latencies[0] > 0.015, (
        "uvloop's timers are of a millisecond"
    )


def test_what_a_closed_loop_does_before_its_window_does_not_count() -> None:
    async def do(number: int) -> float:
        return await after(1.0 if number < 2 else 0.01)

    found = run(closed_loop(2, 0.1, 0.3, do, ME), 1)

    assert max(found.latencies) < 1.0


def test_an_open_loop_begins_by_the_clock_and_latency_counts_from_when_it_was_due() -> None:
    begun: list[int] = []

    async def do(number: int) -> float:
        begun.append(number)
        if number == 5:
            # the generator itself stands still: all that is due meanwhile is late
            time.sleep(0.3)  # noqa: ASYNC251
        return await after(0.0)

    found = run(open_loop(50, 0.1, 0.4, do, ME), 1)

    assert begun == list(range(5 + 20 + 1))
    assert len(found.latencies) == 20
    assert sum(one > 0.1 for one in found.latencies) >= 8, "those that were due while it stood still"


def test_the_first_thing_that_fails_ends_a_load_and_is_its_error() -> None:
    async def do(number: int) -> float:
        if number == 3:
            raise NotMeasured("refused")
        return await after(0.01)

    for load in (closed_loop(2, 0.1, 60.0, do, ME), open_loop(100, 0.1, 60.0, do, ME)):
        with pytest.raises(NotMeasured, match="refused"):
            run(load, 1)


def test_a_window_in_which_nothing_is_done_is_no_measurement() -> None:
    async def do(number: int) -> float:
        return await after(0.01 if number == 0 else 0.5)

    with pytest.raises(NotMeasured, match="nothing was done"):
        run(closed_loop(1, 0.1, 0.1, do, ME), 1)


def test_a_load_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.PATIENCE", 0.1)

    async def do(number: int) -> float:
        return await after(600.0)

    with pytest.raises(NotMeasured, match="did not end"):
        run(closed_loop(1, 0.1, 0.1, do, ME), 0.1)


def test_cpu_of_a_window_is_what_was_used_in_it_for_each_thing_done() -> None:
    async def do(number: int) -> float:
        until = time.process_time() + 0.005
        while time.process_time() < until:
            pass
        return await after(0.0)

    found = run(closed_loop(1, 0.05, 0.6, do, ME), 1)

    assert found.costs.keys() == {"me"}
    assert 4.0 < found.cost < 20.0


def test_a_process_that_ends_while_it_is_measured_is_named() -> None:
    with pytest.raises(cpu.ProcessEnded, match=r"payment \(process 2147483646\)"):
        cpu.seconds({"payment": 2_147_483_646})


async def test_an_end_is_heard_whether_it_comes_before_it_is_awaited_or_after() -> None:
    ends = Ends()
    ends.hear("early", 1.0)
    ends.hear("wrong", NotMeasured("it failed"))
    late = asyncio.create_task(ends.until("late"))
    await asyncio.sleep(0)
    thread = threading.Thread(target=ends.hear, args=("late", 2.0))
    thread.start()

    assert await asyncio.wait_for(late, 5) == 2.0
    assert await asyncio.wait_for(ends.until("early"), 5) == 1.0
    with pytest.raises(NotMeasured, match="it failed"):
        await ends.until("wrong")
    thread.join()


async def test_of_many_ends_from_a_thread_none_is_lost() -> None:
    ends, count = Ends(), 20_000

    def hear_all() -> None:
        for number in range(count):
            ends.hear(str(number), float(number))

    thread = threading.Thread(target=hear_all)
    thread.start()

    heard = await asyncio.wait_for(asyncio.gather(*(ends.until(str(number)) for number in range(count))), 30)

    assert heard == [float(number) for number in range(count)]
    thread.join()


def test_a_program_that_ended_is_reported_with_what_it_printed_last(tmp_path: Path) -> None:
    with Module(tmp_path / "logs" / "hop.log", "bench.bare.hop", []) as hop:
        os.waitid(os.P_PID, hop.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NotMeasured, match=r"bench\.bare\.hop ended .*are required: --servers"):
            hop.check()
