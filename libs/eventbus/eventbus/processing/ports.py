"""What a processor needs besides Kafka: a place for its state, calls to the outside, and time.

In production these are ``eventbus.state.store.Store`` and :class:`~eventbus.processing.calls.Calls`. A simulator can
keep both in memory.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from eventbus.kafka.clients import Clients
from eventbus.model.decider import Decider, Outcome, Request
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity, Partition, Position
from eventbus.processing.work import WorkItem
from eventbus.retry.parked import Parked
from eventbus.retry.queues import Committed

Folds = Mapping[Entity, tuple[int, Folded[Any]]]
"""By entity, the number of its partition and its new state."""


class ParkedMessages(Committed, Protocol):
    """What waits in the retry topic, as folded here, for the leader."""

    def heads(self, partitions: Iterable[int]) -> list[Parked]:
        """The oldest message of every parked key in these partitions."""
        ...


class StateReader(Protocol):
    """The state of one replica, for those who read it."""

    @property
    def parked(self) -> Committed: ...

    def load(self, decider: Decider[Any], key: str) -> Folded[Any]:
        """The state of one key; the decider's initial one for a key without events."""
        ...


class StateStore(StateReader, Protocol):
    """The state of one replica: a fold of its service's own logs."""

    @property
    def deciders(self) -> Mapping[str, Decider[Any]]: ...

    @property
    def parked(self) -> ParkedMessages: ...

    def checkpoint(self, log: str, partition: int) -> int:
        """The offset from which the log is not folded yet."""
        ...

    def write(
        self,
        folds: Folds,
        events: Iterable[Envelope],
        checkpoints: Mapping[Partition, int],
        parked: Iterable[tuple[str, Parked]] = (),
        passed: Iterable[Partition] = (),
    ) -> None:
        """Move states and checkpoints on, all at once. ``parked``: retry topics, and what they say; ``passed``: the
        partitions of which a record was passed over."""
        ...

    def set_aside(self, skips: Iterable[Position]) -> list[Partition]:
        """Take over which records are skipped; returns the partitions that are folded anew for that."""
        ...

    def due(self, now: int, partitions: Iterable[int]) -> list[tuple[Entity, int]]:
        """The keys of these partitions whose deadline has passed, each with the deadline; oldest first."""
        ...


class CallRunner(Protocol):
    """Calls to the outside: started by the processor, answered when they are."""

    def start(self, item: WorkItem, request: Request) -> None:
        """Begin a call."""
        ...

    def collect(self) -> list[tuple[WorkItem, Request, Outcome | Exception]]:
        """What has finished since the last time, without what was forgotten meanwhile."""
        ...

    def forget(self, partitions: set[int] | None = None) -> None:
        """Drop the answers of calls of these partitions (all, if None) whenever they come."""
        ...

    def in_flight(self) -> int:
        """How many calls are under way."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until all of them have ended, so many seconds at most."""
        ...


class Step(StrEnum):
    """What a turn has just done: the places between which a process may die. Crash tests stop at each."""

    POLLED = "1 polled"
    DECODED = "2 decoded"
    LOADED = "3 loaded"
    DECIDED = "4 decided"
    PRODUCED = "5a produced"
    OFFSETS_SENT = "5b offsets sent"
    COMMITTED = "5 committed"
    STORED = "6 stored"


AfterStep = Callable[[Step, int], None]
"""Called after each step with how much of the turn's work it concerned: records, decisions, or outputs."""
Publish = Callable[[Sequence[Envelope], dict[Partition, int]], None]
"""Called with events that are folded here, and with the offsets before which input is decided."""


def epoch_ms() -> int:
    """Ms since epoch (UTC)."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Ports:
    """The ports that a processor is given, and the callbacks that it calls."""

    store: StateStore
    calls: CallRunner
    clients: Clients = field(default_factory=Clients)
    publish: Publish = lambda events, decided: None
    after_step: AfterStep = lambda step, count: None
    clock: Callable[[], int] = epoch_ms
    """Ms since epoch."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds."""
    jitter: Callable[[], float] = random.random
    """From 0 to 1."""
