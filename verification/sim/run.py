"""Lives one seed and judges it."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from eventbus.codec import Codec
from verification.sim.oracle import judged
from verification.sim.story import tell
from verification.sim.trace import Trace
from verification.sim.world import World


@dataclass(frozen=True)
class Outcome:
    """What became of a seed. ``digest`` is the hash of its trace."""

    seed: int
    digest: str
    violations: tuple[str, ...]


def live(seed: int, *, show: Callable[[str], None] | None = None, codec: Codec | None = None) -> Outcome:
    """Live the world of a seed and judge it. ``show`` is given its trace line by line."""
    trace = Trace(show)
    world = World(tell(seed), codec=codec, trace=trace)
    try:
        world.run()
        violations = judged(world)
    except Exception:
        violations = [f"a process ended unexpectedly:\n{traceback.format_exc()}"]
    return Outcome(seed, trace.digest, tuple(violations))


def lives(seeds: Iterable[int], *, show: Callable[[str], None] | None = None) -> Iterator[Outcome]:
    """Live seeds one after another. Garbage is collected once in a while instead of all the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        for count, seed in enumerate(seeds):
            if count % 100 == 99:
                gc.collect()
            yield live(seed, show=show)
    finally:
        if collects:
            gc.enable()
