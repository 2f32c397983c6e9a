"""H4: what a body holds is bounded before anybody looks at it, and large ones take turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from decimal import Decimal

import pytest

from eventbus.http.bodies import parse_json
from eventbus.http.problem_types import INVALID_REQUEST
from eventbus.http.problems import Problem
from eventbus.http.slices import SMALL, SlicedWork, Slices, at_once

MEGABYTE = 1_048_576


def filled(unit: str, before: str = "[", after: str = "1]") -> bytes:
    return (before + unit * ((MEGABYTE - 50) // len(unit)) + after).encode()


HOSTILE = {
    "objects": filled("{},", '{"items":[', "{}]}"),
    "lists": filled("[],"),
    "integers": filled("1,"),
    "decimals": filled("1.5,"),
    "texts": filled('"",'),
    "fields": ("{" + ",".join(f'"{i}":1' for i in range(90_000)) + "}").encode(),
    "one field": filled('"a":1,', "{", '"a":1}'),
    "long integers": ("[" + ",".join(["1" * 4_299] * 243) + "]").encode(),
    "long decimals": ("[" + ",".join(["1." + "1" * 4_299] * 243) + "]").encode(),
    "one integer": b"1" * MEGABYTE,
    "one decimal": b"1." + b"1" * MEGABYTE,
    "deep lists": b"[" * MEGABYTE,
    "deep objects": filled('{"a":', "", "1"),
    "just deep enough not to be counted": b"[" * 49_999,
    "exponents": filled("1e9,"),
    "one exponent": b"[1e" + b"9" * 1_000_000 + b"]",
    "no end": filled("a", '"', ""),
    "no utf-8": b"\xff" * MEGABYTE,
}


def least_cpu(raw: bytes) -> float:
    """Seconds of CPU to read a body: the least of three, as the garbage of other tests is collected now and then."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(Problem):
            parse_json(raw)
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_anything_is_refused_within_50_ms(name: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_json(HOSTILE[name])
    assert least_cpu(HOSTILE[name]) < 0.05
    assert caught.value.status in (400, 422)
    assert caught.value.detail


def test_within_the_limits_the_worst_takes_less_than_50_ms() -> None:
    for unit in ("{},", "[],", "1,", "1.5,", '"",', "1e9,"):
        marks = sum(unit.count(mark) for mark in "{[,:")
        assert least_cpu(("[" + unit * (49_000 // marks) + "1]").encode()) < 0.05


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "a"),
        ('{"items": [{"quantity": 1, "quantity": 2}]}', "quantity"),
        ('{"\\u0061": 1, "a": 2}', "a"),
    ],
)
def test_a_field_given_twice_is_named(text: str, field: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_json(text.encode())
    assert caught.value.status == 422
    assert caught.value.body["errors"] == [{"field": field, "message": "must be given once"}]


def test_decimals_are_exact() -> None:
    assert parse_json(b'\xef\xbb\xbf{"price": 0.1}') == {"price": Decimal("0.1")}


async def test_large_work_leaves_the_loop_to_others() -> None:
    """While ten requests want a second of the loop in all, somebody else has it back every few milliseconds."""
    turns = Slices()

    def work() -> SlicedWork[int]:
        for _ in range(100):
            busy_until = time.thread_time() + 0.001
            while time.thread_time() < busy_until:
                pass
            yield
        return 7

    hogs = [asyncio.create_task(turns.take(work(), SMALL + 1)) for _ in range(10)]
    gaps, done = [], asyncio.gather(*hogs)
    while not done.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        gaps.append(time.thread_time() - began)
    assert await done == [7] * 10
    assert max(gaps) < 0.05


async def test_small_work_is_done_at_once() -> None:
    turns = Slices()

    def work() -> SlicedWork[int]:
        yield
        return 7

    asleep = turns.take(work(), SMALL)
    with pytest.raises(StopIteration) as ended:
        asleep.send(None)
    assert ended.value.value == 7 == at_once(work())


async def test_an_error_in_a_slice_lets_the_next_request_work() -> None:
    turns = Slices()

    def fails() -> SlicedWork[int]:
        yield
        raise Problem(INVALID_REQUEST, "wrong")

    def works() -> SlicedWork[int]:
        yield
        return 7

    with pytest.raises(Problem):
        await turns.take(fails(), SMALL + 1)
    assert await turns.take(works(), SMALL + 1) == 7
