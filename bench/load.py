"""Load, and what it costs those who bear it: clients that wait (closed loop), or the clock's pace (open loop)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from bench import cpu
from bench.processes import NotMeasured
from tools.arrivals import percentile
from tools.load.__main__ import run as run_on_uvloop
from tools.load.generate import by_the_clock

PATIENCE = 60.0
"""Seconds beyond the planned ones after which a measurement is given up."""
T = TypeVar("T")
Operation = Callable[[int], Awaitable[float]]
"""Does the work with this number, and gives when it was done (``time.monotonic``, s)."""
Pids = Mapping[str, int]


@dataclass(frozen=True)
class Measured:
    """A window of time: how many things were done in it, how long each took (s, sorted), CPU seconds by process."""

    seconds: float
    done: int
    latencies: list[float]
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """What was done in a second."""
        return self.done / self.seconds

    @property
    def cost(self) -> float:
        """CPU, in ms, of all processes for each thing done."""
        return sum(self.costs.values())

    @property
    def costs(self) -> dict[str, float]:
        """CPU, in ms, for each thing done, by process."""
        return {name: round(used * 1000 / self.done, 3) for name, used in self.cpu.items()}

    def ms(self, share: float) -> float:
        """The latency, in ms, that this share of all did not exceed."""
        return percentile(self.latencies, share) * 1000


class Looks:
    """Two looks at the CPU of the same processes; what happens between them is the window."""

    def __init__(self, pids: Pids) -> None:
        self._pids = pids
        self._looks: list[tuple[float, int, dict[str, float]]] = []

    def take(self, done: int) -> None:
        """Look now, when so many things are done. Raises ProcessEnded."""
        self._looks.append((time.monotonic(), done, cpu.seconds(self._pids)))

    def measured(self, latencies: list[float]) -> Measured:
        """The window, with these latencies. Raises NotMeasured if nothing was done in it."""
        (began, before, cpu_before), (ended, after, cpu_after) = self._looks
        if after == before:
            raise NotMeasured("nothing was done within the time measured: see the logs of the processes.")
        used = cpu.between(cpu_before, cpu_after)
        return Measured(ended - began, after - before, sorted(latencies), used)


async def closed_loop(clients: int, warm: float, seconds: float, do: Operation, pids: Pids) -> Measured:
    """Clients that each do one thing after the other, measured for ``seconds`` s.

    What they do first, and ``warm`` s after one of them was done with it, does not count. Returns once what they had
    begun is done. Raises NotMeasured.
    """
    looks, latencies, numbers = Looks(pids), list[float](), count()
    first, stopped = asyncio.Event(), asyncio.Event()

    async def client() -> None:
        while not stopped.is_set():
            began = time.monotonic()
            ended = await do(next(numbers))
            first.set()
            latencies.append(ended - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
        await first.wait()
        await asyncio.sleep(warm)
        before = len(latencies)
        looks.take(before)
        await asyncio.sleep(seconds)
        after = len(latencies)
        looks.take(after)
        stopped.set()
    return looks.measured(latencies[before:after])


async def open_loop(rate: float, warm: float, seconds: float, do: Operation, pids: Pids) -> Measured:
    """``rate`` operations a second by the clock, whether or not the earlier ones are done.

    Latency counts from when each was due. The latencies are of those that are due in ``seconds`` s, after ``warm`` s;
    ``done`` and CPU are what happened in that time. Raises NotMeasured.
    """
    looks, latencies = Looks(pids), dict[int, float]()
    first = round(rate * warm)
    last = first + round(rate * seconds)

    async def act(number: int, due: float) -> None:
        if number in (first, last):
            looks.take(len(latencies))
        latencies[number] = await do(number) - due

    await by_the_clock(rate, last + 1, act)
    return looks.measured([latencies[number] for number in range(first, last)])


def run(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Run a load to its end on uvloop. Raises NotMeasured if it fails, or takes a minute longer than ``seconds``."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds + PATIENCE):
            return await work

    try:
        return run_on_uvloop(bounded())
    except TimeoutError as error:
        raise NotMeasured(f"a load of {seconds:.0f} s did not end {PATIENCE:.0f} s later.") from error
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from group
