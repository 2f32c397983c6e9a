"""What is to be decided, for whom, and what is not finished yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventbus.codec import Codec
from eventbus.model.decider import DeadlinePassed, Decider, Outcome
from eventbus.model.errors import Poison
from eventbus.model.folding import Folded
from eventbus.model.limits import Limits
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Raw
from eventbus.retry.breaker import Breaker
from eventbus.retry.parked import Parked, State
from eventbus.retry.policy import RetryPolicy

COMMANDS = ".commands"


@dataclass(frozen=True, eq=False)
class WorkItem:
    """Something for a decider to decide: an input record, a parked one whose turn has come, or a deadline."""

    decider: Decider[Any]
    raw: Raw
    key: str
    message: Message | Outcome
    correlation_id: str
    traceparent: str | None = None
    parked: bool = False

    @classmethod
    def of(cls, decider: Decider[Any], raw: Raw, envelope: Envelope, parked: bool = False) -> WorkItem:
        """``raw`` for ``decider``, decoded as ``envelope``."""
        message = envelope.message
        return cls(
            decider, raw, message.key, message, envelope.correlation_id, envelope.traceparent, parked=parked
        )

    @property
    def entity(self) -> tuple[str, str]:
        return self.decider.log, self.key

    @property
    def origin(self) -> str:
        """What no other work of the service has: the coordinates of a record; a deadline may be that of many keys."""
        if isinstance(self.message, DeadlinePassed):
            return f"{self.raw.coordinates}/{self.key}"
        return self.raw.coordinates


class KeyQueue(deque[WorkItem]):
    """Inputs of one key that wait for the call of the one before them; ``partition`` is where the key lives."""

    def __init__(self, partition: int) -> None:
        super().__init__()
        self.partition = partition


@dataclass
class Pending:
    """Keys with a call under way, each with the inputs that queue behind it; and every input not finished."""

    queues: dict[tuple[str, str], KeyQueue] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)

    def begin(self, raw: Raw) -> None:
        offsets = self.unfinished.setdefault((raw.topic, raw.partition), {})
        offsets[raw.offset] = offsets.get(raw.offset, 0) + 1

    def finish(self, raw: Raw) -> None:
        offsets = self.unfinished.get((raw.topic, raw.partition), {})
        if offsets.get(raw.offset, 0) > 1:
            offsets[raw.offset] -= 1
        else:
            offsets.pop(raw.offset, None)

    def lowest(self, topic: str, partition: int) -> int | None:
        """The first offset that is not finished; offsets come in rising order."""
        return next(iter(self.unfinished.get((topic, partition), ())), None)

    def count(self) -> int:
        return sum(len(offsets) for offsets in self.unfinished.values())

    def drop(self, partitions: Iterable[int] | None = None) -> None:
        """Forget what belongs to these partitions (all, if None): another replica will read it again."""
        gone = None if partitions is None else set(partitions)
        for place in [p for p in self.unfinished if gone is None or p[1] in gone]:
            del self.unfinished[place]
        for key in [k for k, queue in self.queues.items() if gone is None or queue.partition in gone]:
            del self.queues[key]


class Router:
    """Which deciders a record is for."""

    def __init__(self, deciders: Sequence[Decider[Any]], codec: Codec) -> None:
        self._codec = codec
        self.deciders = {d.log: d for d in deciders}
        self._by_name: dict[tuple[str, str], list[Decider[Any]]] = {}
        for decider in deciders:
            for cls in decider.inputs:
                self._by_name.setdefault((cls.topic, cls.name), []).append(decider)

    def route(self, raw: Raw) -> Sequence[Decider[Any]]:
        """The deciders subscribed to the record's type, found without decoding it; raises Poison.

        Events nobody subscribed are skipped. A command is always for somebody, so an unknown one is poison.
        """
        name = raw.header("ce_type") or self._codec.name_of(raw.value)
        deciders = self._by_name.get((raw.topic, name), [])
        if not deciders and raw.topic.endswith(COMMANDS):
            raise Poison(f"{raw.topic} takes no {name[:100]}")
        return deciders


@dataclass(frozen=True)
class TurnContext:
    """What a turn needs from around it; the same for all turns of a replica."""

    service: str
    version: str
    codec: Codec
    router: Router
    pending: Pending
    breaker: Breaker
    policy: RetryPolicy
    load: Callable[[Decider[Any], str], Folded[Any]]
    load_queue: Callable[[tuple[str, str]], list[Parked]]
    known: Callable[[str], State | None]
    partition_of: Callable[[bytes], int]
    clock: Callable[[], int]
    jitter: Callable[[], float]
    limits: Limits
    refused: Mapping[str, set[str]] = field(default_factory=dict)
    """By the coordinates of an input, the topics that refused as too large what it led to."""
