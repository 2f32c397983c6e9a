"""A service as a simulation runs it, and what its replicas need of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

from eventbus.codec import Codec
from eventbus.model.decider import Decider
from eventbus.settings import Settings
from verification.sim.broker import Broker
from verification.sim.clock import Clock
from verification.sim.release import Release

Start = Callable[[Callable[[], int]], Sequence[Decider[Any]]]
"""Makes the deciders of a new process, given its clock (ms since epoch)."""


class Environment(Protocol):
    """What a replica needs of the simulation it runs in."""

    clock: Clock
    dice: Random
    broker: Broker
    codec: Codec
    settings: Settings
    partitions: int
    aborts: float
    stuck: float
    first_release: Release
    late: list[str]

    def codec_of(self, release: Release) -> Codec: ...

    def say(self, who: str, *what: object) -> None: ...

    def chance(self, share: float) -> bool: ...

    def notify_members(self, service: str) -> None: ...


@dataclass(frozen=True)
class Service:
    """A service to run: its name, its deciders, and the topics its group reads."""

    name: str
    start: Start
    inputs: tuple[str, ...]
    logs: tuple[str, ...]
    start_from: Literal["earliest", "now"] = "earliest"
    """Where its group begins in event logs of others."""
