"""Checks that messages were decided in order and once, from the transactions alone, in the order they committed.

A message that is parked when a transaction begins is decided before whatever comes later for its key, or the later
one is a settling one. What was decided is never decided again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from eventbus.model.places import Position
from eventbus.retry.parked import Parked
from verification.sim.broker import Stored, Transaction

if TYPE_CHECKING:
    from verification.sim.simulation import Simulation

Entity = tuple[str, str]


class Journal:
    """What is parked, and what was decided, after each transaction of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._world = simulation
        deciders = {d.log: d for s in simulation.services.values() for d in s.start(lambda: 0)}
        self._settling = {log: {cls.name for cls in d.settling} for log, d in deciders.items()}
        self._parked: dict[Entity, dict[str, Parked]] = {}
        self._decided: set[tuple[Entity, str]] = set()

    def take(self, transaction: Transaction) -> Iterator[str]:
        """The rules that one transaction breaks."""
        events = [r for r in transaction.records if r.topic in self._settling]
        waits = [Parked.from_record(r.raw()) for r in transaction.records if r.topic.endswith(".retry")]
        before = {e: dict(queue) for e, queue in self._parked.items()}
        for parked in waits:
            queue = self._parked.setdefault(parked.entity, {})
            queue.pop(parked.raw.coordinates, None)
            if parked.state.open:
                queue[parked.raw.coordinates] = parked
        answered = set[tuple[Entity, str]]()
        for record in events:
            envelope = self._world.codec.decode(record.raw())
            entity, cause = (record.topic, envelope.message.key), envelope.led_by or ""
            yield from self._overtaken(entity, cause, before.get(entity, {}), transaction)
            if (entity, cause) in self._decided:
                yield f"decided twice: {cause} by {entity}, {record.topic}-{record.partition}-{record.offset}"
            answered.add((entity, cause))
        for entity, cause in answered:
            if cause not in self._parked.get(entity, {}):
                self._decided.add((entity, cause))

    def _overtaken(
        self, entity: Entity, cause: str, before: dict[str, Parked], transaction: Transaction
    ) -> Iterator[str]:
        after = self._parked.get(entity, {})
        if not after or self._settles(entity, cause):
            return
        first = before.get(cause)
        for coordinates, parked in before.items():
            earlier = first is None or parked.sequence < first.sequence
            if earlier and coordinates in after:
                yield f"overtaken: {cause} was decided by {entity} before {coordinates}, which is parked"
        for coordinates in after.keys() - before.keys():
            if _follows(cause, coordinates):
                yield f"overtaken: {cause} was decided by {entity} before {coordinates}, which is parked"

    def _settles(self, entity: Entity, cause: str) -> bool:
        """Deadlines settle too; they have coordinates of their own."""
        topic, partition, offset = Position.parse(cause)
        if topic.endswith(".deadline"):
            return True
        record = self._world.broker.log(topic, partition).records[offset]
        return record is not None and _name(record) in self._settling[entity[0]]


def _follows(cause: str, coordinates: str) -> bool:
    one, other = Position.parse(cause), Position.parse(coordinates)
    return one[:2] == other[:2] and one.offset > other.offset


def _name(record: Stored) -> str:
    return next((v.decode() for k, v in record.headers if k == "ce_type" and v), "")
