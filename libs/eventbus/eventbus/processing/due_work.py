"""What a turn decides without input: parked messages whose wait is over, deadlines, and probes of the breaker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from eventbus.model.decider import DeadlinePassed, Decider
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext
from eventbus.processing.due import DueQueue
from eventbus.processing.ports import CallRunner
from eventbus.processing.turn import Turn
from eventbus.processing.work import WorkItem

PROBE_EVERY = 100
"""Ms between two looks for parked keys that may probe."""


class DueWork:
    """Gives a turn what is due, ``most`` parked keys at once; with the breaker open, some probes instead of these."""

    def __init__(
        self,
        queue: DueQueue,
        deciders: Mapping[str, Decider[Any]],
        context: TurnContext,
        calls: CallRunner,
        most: int,
    ) -> None:
        self._queue, self._deciders, self._context = queue, deciders, context
        self._calls, self._most = calls, most
        self._probed_at = 0

    def decide(self, turn: Turn, led: set[int]) -> None:
        """Have ``turn`` decide what is due in the tasks led."""
        now, breaker = self._context.clock(), self._context.breaker
        due = self._probes(turn, now) if breaker.is_open else self._queue.due(now, self._most)
        for entity in due:
            turn.retry(entity, self._deciders[entity.log])
        for entity, at in self._queue.deadlines(now, led):
            turn.decide([self._deadline(entity, at)])

    def _deadline(self, entity: Entity, at: int) -> WorkItem:
        log, key = entity
        partition = self._context.partition_of(key.encode())
        raw = Raw(f"{log}.deadline", partition, at, None, None, [], at)
        return WorkItem(self._deciders[log], raw, key, DeadlinePassed(key, at), correlation_id=key)

    def _probes(self, turn: Turn, now: int) -> list[Entity]:
        """Parked keys to probe while the breaker is open, chosen at random. The calls of new input come first."""
        breaker = self._context.breaker
        breaker.probed(len(turn.requests))
        if 0 <= now - self._probed_at < PROBE_EVERY:
            return []
        self._probed_at = now
        untried, again = breaker.room(now, self._calls.in_flight() + len(turn.requests))
        some = partial(self._queue.some, dice=self._context.jitter)
        hopeful = some(untried, lambda entity, due: due <= now and breaker.untried(entity))
        others = some(again, lambda entity, _: entity in breaker.failed) or some(again, lambda *_: True)
        breaker.probed(len(hopeful), len(others))
        return [*hopeful, *others]
