"""What happens in one simulation. It is known before the simulation begins."""

from __future__ import annotations

from dataclasses import dataclass

from eventbus import Message
from tools.registry import STARTED
from verification.sim.fault import Fault

SERVICES = tuple(service.name for service in STARTED)
LENGTH = 24_000
"""Ms of commands and faults. Then all faults end, and the simulation may come to rest."""


@dataclass(frozen=True)
class SimulationPlan:
    """The parameters of a simulation, the commands of its customers and clerks, and its faults."""

    seed: int
    partitions: int
    replicas: dict[str, int]
    attempts: int
    deadline: int
    gives_up: bool
    breaker: int
    late: float
    slow_markers: float
    aborts: float
    refused: float
    lost: float
    delayed: float
    skews: tuple[int, ...]
    wave: int
    commands: tuple[tuple[int, Message], ...]
    faults: tuple[Fault, ...]
    stuck: float
    evolved: frozenset[str] = frozenset()
    """The messages that get a new version while the simulation runs. Replicas begin with code that cannot read it."""
    prompt: tuple[tuple[str, int], ...] = ()
    """Orders with a good payment method in a simulation without faults: each must be charged by then (ms from the
    start)."""
