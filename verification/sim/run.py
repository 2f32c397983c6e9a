"""Runs the simulation of a seed and checks it."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from eventbus.codec import Codec
from verification.sim.apply_faults import apply
from verification.sim.drawing import draw_plan
from verification.sim.oracle import violations_of
from verification.sim.simulation import Simulation
from verification.sim.trace import Trace


@dataclass(frozen=True)
class SeedResult:
    """The result of a seed. ``digest`` is the hash of its trace."""

    seed: int
    digest: str
    violations: tuple[str, ...]


def run_seed(
    seed: int, *, show: Callable[[str], None] | None = None, codec: Codec | None = None
) -> SeedResult:
    """Run the simulation of a seed and check it. ``show`` is given its trace line by line."""
    trace = Trace(show)
    simulation = Simulation(draw_plan(seed), codec=codec, trace=trace)
    try:
        simulation.run(apply)
        violations = violations_of(simulation)
    except Exception:
        violations = [f"a process ended unexpectedly:\n{traceback.format_exc()}"]
    return SeedResult(seed, trace.digest, tuple(violations))


def run_seeds(seeds: Iterable[int], *, show: Callable[[str], None] | None = None) -> Iterator[SeedResult]:
    """Run seeds one after another. Garbage is collected once in a while instead of all the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        for count, seed in enumerate(seeds):
            if count % 100 == 99:
                gc.collect()
            yield run_seed(seed, show=show)
    finally:
        if collects:
            gc.enable()
