"""What a processor needs around it beside Kafka: a place for its state, and calls to the outside.

In production these are ``eventbus.state.store.Store`` and :class:`~eventbus.processing.calls.Calls`. The simulator of
the shop keeps both in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from eventbus.model.decider import Decider, Outcome, Request
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.retry.parked import Parked, State

if TYPE_CHECKING:
    from eventbus.model.folding import Folded
    from eventbus.processing.work import WorkItem


class ParkedMessages(Protocol):
    """What waits in the retry topic, as folded here."""

    def queue(self, entity: tuple[str, str]) -> list[Parked]:
        """What waits for a key of a log, oldest first."""
        ...

    def known(self, coordinates: str) -> State | None:
        """How the message of these coordinates waits, or how its wait ended."""
        ...

    def heads(self, partitions: Iterable[int]) -> list[Parked]:
        """The oldest message of every parked key in these partitions."""
        ...


class StateStore(Protocol):
    """The state of one replica: a fold of its service's own logs."""

    @property
    def deciders(self) -> Mapping[str, Decider[Any]]: ...

    @property
    def waiting(self) -> ParkedMessages: ...

    def checkpoint(self, log: str, partition: int) -> int:
        """The offset from which the log is not folded yet."""
        ...

    def load(self, decider: Decider[Any], key: str) -> Folded[Any]:
        """The state of one key; the decider's initial one for a key without events."""
        ...

    def write(
        self,
        folds: Mapping[tuple[str, str], tuple[int, Folded[Any]]],
        events: Iterable[Envelope],
        checkpoints: Mapping[tuple[str, int], int],
        parked: Iterable[tuple[str, Parked]] = (),
    ) -> None:
        """Move states and checkpoints on, all at once."""
        ...

    def set_aside(self, skips: Iterable[Position]) -> list[tuple[str, int]]:
        """Take over which records are skipped; returns the (topic, partition) that are folded anew for that."""
        ...

    def due(self, now: int, partitions: Iterable[int]) -> list[tuple[str, str, int]]:
        """(log, key, deadline) of every key of these partitions whose deadline has passed; oldest first."""
        ...


class CallRunner(Protocol):
    """Calls to the outside: started by the processor, answered when they are."""

    def start(self, work: WorkItem, request: Request) -> None:
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
