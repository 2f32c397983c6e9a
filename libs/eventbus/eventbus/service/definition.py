"""What a service is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import FastAPI

from eventbus.access import Rules
from eventbus.model.decider import Decider
from eventbus.model.messages import Message
from eventbus.model.mirror import Mirror
from eventbus.service.bus import Bus


class Routes(Protocol):
    """Adds the HTTP interface of a service to its application."""

    def __call__(self, app: FastAPI, bus: Bus, /) -> None: ...


@dataclass(frozen=True)
class Service:
    """What a service is made of: everything that :func:`~eventbus.service.runtime.serve` needs but settings."""

    name: str
    """Also its consumer group, and the beginning of its topics' names."""
    deciders: tuple[Decider[Any], ...]
    """What it decides, each with a log of its own: deciders and reactors."""
    schemas: tuple[str, ...]
    """The schema packages with the messages it reads and writes, such as ``schemas``."""
    routes: Routes | None = None
    """Its HTTP interface, beside the routes that every service has."""
    rules: Rules = field(default_factory=dict)
    """What each route of its HTTP interface asks of its caller: ``{"GET /parcels/{id}": Rule(Scope.READ)}``. A route
    without a line is for callers with the scope ``admin``."""
    sends: tuple[type[Message], ...] = ()
    """The commands that its HTTP interface sends. ``Bus.send`` refuses any other."""
    port: int = 0
    """Where it serves HTTP unless EVENTBUS_HTTP_PORT says otherwise; 0: any free port."""
    mirrors: tuple[Mirror, ...] = ()
    """Events of its logs that are also written in an older version, to a topic beside the log."""
    watches: tuple[str, ...] = ()
    """Retry topics of other services whose parked messages this service shows (``Bus.held``)."""
    start_from: str = "earliest"
    """Where its consumer group, if it has committed nothing there, begins in event logs of other services:
    ``earliest``, ``now``, or a time (RFC 3339). Commands, answers and own logs begin with their oldest record."""
    transactions_share: float = 0.5
    """Of the time, what its transactions take at most, above 0 and up to 1, unless
    ``EVENTBUS_TRANSACTIONS_SHARE`` says otherwise. Little suits a service whose events nobody waits for, and one that
    others answer at once: it rests longer under load, and costs less."""
    input_wait: float = 0.0
    """Seconds that its input may wait at the brokers until a megabyte of it is there; 0: it comes at once. A service
    for which nobody waits asks the brokers a few times a second then, not once for each transaction of all others."""
    on_start: Callable[[], Awaitable[None]] | None = None
    """Awaited on the event loop before anything else."""
    on_stop: Callable[[], Awaitable[None]] | None = None
    """Awaited on the event loop after everything else."""

    def input_topics(self) -> list[str]:
        """The topics that its deciders take messages from."""
        return sorted({cls.topic for decider in self.deciders for cls in decider.inputs})

    def output_topics(self) -> list[str]:
        """The topics that it writes to beside its own logs."""
        sent = [*self.sends, *(cls for decider in self.deciders for cls in decider.sends)]
        return sorted({cls.topic for cls in sent})

    def topics(self) -> list[str]:
        """The topics without which it cannot run; all must have the same number of partitions."""
        logs = [decider.log for decider in self.deciders]
        own = [f"{self.name}.{kind}" for kind in ("retry", "dlq", "admin")]
        mirrors = sorted({mirror.topic for mirror in self.mirrors})
        inputs, outputs = self.input_topics(), self.output_topics()
        return list(dict.fromkeys([*inputs, *outputs, *logs, *mirrors, *own, *self.watches]))
