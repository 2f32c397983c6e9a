"""A replica's state and the wire format, in memory.

``MemoryStore`` keeps what :class:`eventbus.state.store.Store` keeps. ``InternedCodec`` is the real codec but for the
bodies: a value is the number of a message that this simulation has seen, instead of Avro. Headers are real.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eventbus.codec import Codec
from eventbus.model.decider import Decider
from eventbus.model.errors import Poison
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Entity, Partition, Position
from eventbus.model.record import Headers
from eventbus.retry.parked import Parked, State


class MemoryParkedStore:
    """What waits in the retry topic, by coordinates."""

    def __init__(self) -> None:
        self.messages: dict[str, Parked] = {}
        self._queues: dict[Entity, dict[str, Parked]] = {}

    def queue(self, entity: Entity) -> list[Parked]:
        return sorted(self._queues.get(entity, {}).values(), key=lambda p: p.sequence)

    def known(self, coordinates: str) -> State | None:
        parked = self.messages.get(coordinates)
        return parked.state if parked else None

    def heads(self, partitions: Iterable[int]) -> list[Parked]:
        wanted = set(partitions)
        heads = [self.queue(entity)[0] for entity, queue in self._queues.items() if queue]
        return [head for head in heads if head.raw.partition in wanted]

    def write(self, parked: Parked) -> None:
        self.messages[parked.raw.coordinates] = parked
        queue = self._queues.setdefault(parked.entity, {})
        queue.pop(parked.raw.coordinates, None)
        if parked.state.open:
            queue[parked.raw.coordinates] = parked

    def forget(self, partition: int) -> None:
        for parked in [p for p in self.messages.values() if p.raw.partition == partition]:
            del self.messages[parked.raw.coordinates]
            self._queues.get(parked.entity, {}).pop(parked.raw.coordinates, None)

    def open(self) -> list[Parked]:
        return [parked for queue in self._queues.values() for parked in queue.values()]


class MemoryStore:
    """The state of one replica. It outlives a process that dies, unless somebody deletes it."""

    def __init__(self, deciders: Iterable[Decider[Any]]) -> None:
        self._deciders = {d.log: d for d in deciders}
        self._parked = MemoryParkedStore()
        self.states: dict[Entity, tuple[int, Folded[Any]]] = {}
        self.checkpoints: dict[Partition, int] = {}
        self._due: dict[Entity, tuple[int, int]] = {}
        self.skips: set[Position] = set()

    @property
    def deciders(self) -> Mapping[str, Decider[Any]]:
        return self._deciders

    @property
    def parked(self) -> MemoryParkedStore:
        return self._parked

    def adopt(self, deciders: Iterable[Decider[Any]]) -> None:
        """A new process opens the store, with deciders of its own."""
        self._deciders = {d.log: d for d in deciders}

    def checkpoint(self, log: str, partition: int) -> int:
        return self.checkpoints.get(Partition(log, partition), 0)

    def set_aside(self, skips: Iterable[Position]) -> list[Partition]:
        wanted = set(skips)
        changed = {s for s in self.skips ^ wanted if s.offset < self.checkpoint(s.topic, s.partition)}
        parts = sorted({Partition(s.topic, s.partition) for s in changed})
        self.skips = wanted
        for topic, partition in parts:
            self.checkpoints.pop(Partition(topic, partition), None)
            for entity in [e for e, (p, _) in self.states.items() if e[0] == topic and p == partition]:
                del self.states[entity]
                self._due.pop(entity, None)
            if topic.endswith(".retry"):
                self._parked.forget(partition)
        return parts

    def load(self, decider: Decider[Any], key: str) -> Folded[Any]:
        found = self.states.get(Entity(decider.log, key))
        return found[1] if found else Folded(decider.initial)

    def write(
        self,
        folds: Mapping[Entity, tuple[int, Folded[Any]]],
        events: Iterable[Envelope],
        checkpoints: Mapping[Partition, int],
        parked: Iterable[tuple[str, Parked]] = (),
        passed: Iterable[Partition] = (),
    ) -> None:
        for entity, (partition, folded) in folds.items():
            self.states[entity] = (partition, folded)
            deadline = self._deciders[entity[0]].deadline
            at = deadline(folded.state) if deadline else None
            if at is None:
                self._due.pop(entity, None)
            else:
                self._due[entity] = (at, partition)
        for _, waits in parked:
            self._parked.write(waits)
        self.checkpoints.update(checkpoints)

    def due(self, now: int, partitions: Iterable[int]) -> list[tuple[Entity, int]]:
        wanted = set(partitions)
        passed = [(at, e) for e, (at, partition) in self._due.items() if at <= now and partition in wanted]
        return [(entity, at) for at, entity in sorted(passed)]

    def next_due(self, partitions: set[int]) -> int | None:
        """When the next deadline or retry of these partitions comes."""
        times = [at for at, partition in self._due.values() if partition in partitions]
        retried = [p for p in self._parked.open() if p.due and p.state is not State.DEAD]
        times += [p.due for p in retried if p.raw.partition in partitions]
        return min(times, default=None)

    def open_deadlines(self) -> list[Entity]:
        """The keys whose deadline is still to come."""
        return list(self._due)


class InternedCodec(Codec):
    """Bodies as numbers of messages. Equal messages have the same number."""

    def __init__(self) -> None:
        self._numbers: dict[Message, bytes] = {}
        self._messages: dict[bytes, Message] = {}

    def encode(self, message: Message) -> bytes:
        value = self._numbers.get(message)
        if value is None:
            value = self._numbers[message] = b"%d" % len(self._numbers)
            self._messages[value] = message
        return value

    def as_read(self, message: Message, value: bytes) -> Message:
        return message

    def schema_headers(self, value: bytes) -> Headers:
        return []

    def name_of(self, value: bytes | None, named: str | None = None) -> str:
        return self.decode_value(value).name

    def decode_value(self, value: bytes | None, named: str | None = None) -> Message:
        message = self._messages.get(value or b"")
        if message is None:
            raise Poison(f"no message has the body {value!r}")
        return message
