"""A load on a system of the tests, in the background, by the generator that measures it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.support.processes import ServiceProcess
from tests.support.system import System
from tools.load.__main__ import run
from tools.load.generate import Plan, generate
from tools.load.measure import Measured
from tools.system import System as Where


@contextmanager
def load(
    system: System, order: ServiceProcess, inventory: ServiceProcess, plan: Plan, patience: float
) -> Iterator[Future[Measured]]:
    """Run the plan while the block runs; the future gives what was measured."""
    where = Where(
        order=f"http://127.0.0.1:{order.port}",
        inventory=f"http://127.0.0.1:{inventory.port}",
        gateway="",
        kafka=system.settings,
    )
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(lambda: run(generate(where, plan, patience)))
