"""What every turn needs: which decider takes what, the state, and what is under way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventbus import metrics
from eventbus.codec import Codec
from eventbus.model.decider import Decider, Reactor
from eventbus.model.errors import Poison, UnknownSchema
from eventbus.model.limits import Limits
from eventbus.model.messages import Message
from eventbus.model.mirror import Mirror
from eventbus.model.record import Headers, Raw
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.ports import StateReader
from eventbus.processing.work import KeyQueues
from eventbus.retry.breaker import Breaker
from eventbus.retry.policy import RetryPolicy
from eventbus.settings import Settings
from eventbus.wire_format import DATASCHEMA

log = logging.getLogger("eventbus.context")
COMMANDS = ".commands"


class Router:
    """Which deciders a record is for."""

    def __init__(self, deciders: Sequence[Decider[Any]], codec: Codec) -> None:
        self._codec = codec
        self.deciders = {d.log: d for d in deciders}
        self._by_name: dict[tuple[str, str], list[Decider[Any]]] = {}
        self.takers: dict[str, list[Decider[Any]]] = {}
        """By topic, the deciders that take messages from it."""
        for decider in deciders:
            for cls in decider.inputs:
                self._by_name.setdefault((cls.topic, cls.name), []).append(decider)
            for topic in {cls.topic for cls in decider.inputs}:
                self.takers.setdefault(topic, []).append(decider)
        self._events = {
            topic: frozenset(name.encode() for of, name in self._by_name if of == topic)
            for topic in self.takers
            if not topic.endswith(COMMANDS)
        }
        """By topic of events, the types that a decider takes."""
        self._prompt = {
            topic
            for topic, takers in self.takers.items()
            if not any(isinstance(taker, Reactor) for taker in takers)
        }

    def route(self, raw: Raw) -> Sequence[Decider[Any]]:
        """The deciders that take records of this type, found without decoding the body; raises Poison.

        An event that no decider takes is skipped. A command is always for somebody, so an unknown one is poison;
        one of an unknown schema is for the decider that takes the commands of the topic, once newer code runs here.
        """
        name = raw.header("ce_type") or self._codec.name_of(raw.value, raw.header(DATASCHEMA))
        deciders = self._by_name.get((raw.topic, name), [])
        if not deciders and raw.topic.endswith(COMMANDS):
            takers = self.takers.get(raw.topic, [])
            if len(takers) == 1 and self._is_of_newer_code(raw):
                return takers
            raise Poison(f"{raw.topic} takes no {name[:100]}")
        return deciders

    def passes_by(self, topic: str, headers: Headers) -> bool:
        """Whether :meth:`route` would find no decider, as far as the headers alone say: an event of another type."""
        taken = self._events.get(topic)
        return taken is not None and bool(name := dict(headers).get("ce_type")) and name not in taken

    def taker(self, topic: str, name: str) -> Decider[Any] | None:
        """The one decider that may decide a message of this type as soon as it is sent; None if there is none.

        A reactor's call would outlast the transaction. What waits for such a call holds back what stands behind it.
        """
        if topic not in self._prompt:
            return None
        deciders = self._by_name.get((topic, name), [])
        return deciders[0] if len(deciders) == 1 else None

    def _is_of_newer_code(self, raw: Raw) -> bool:
        try:
            self._codec.name_of(raw.value, raw.header(DATASCHEMA))
        except Poison as error:
            return isinstance(error, UnknownSchema)
        return False


@dataclass(frozen=True)
class TurnContext:
    """What a turn uses but does not own. All turns of a replica share one."""

    service: str
    version: str
    codec: Codec
    router: Router
    state: StateReader
    queues: KeyQueues
    offsets: OffsetTracker
    breaker: Breaker
    policy: RetryPolicy
    limits: Limits
    partition_of: Callable[[bytes], int]
    clock: Callable[[], int]
    jitter: Callable[[], float]
    old_headers: bool
    """Whether what is written carries the headers' old names too (``EVENTBUS_OLD_HEADERS``)."""
    mirrors: Mapping[type[Message], Mirror] = field(default_factory=dict)
    """By the class of an own event: how it is also written in an older version."""
    refused: dict[str, set[str]] = field(default_factory=dict)
    """By the coordinates of an input: the topics that refused its outputs because they are too large."""

    def blame(self, cause: str, topic: str) -> None:
        """``topic`` refused an output of this input as too large. Read again, the input becomes a dead letter."""
        metrics.REFUSED.labels(self.service).inc()
        log.error("%s refuses as too large what %s leads to", topic, cause)
        self.refused.setdefault(cause, set()).add(topic)


def turn_context(
    service: str,
    deciders: Mapping[str, Decider[Any]],
    codec: Codec,
    settings: Settings,
    state: StateReader,
    partition_of: Callable[[bytes], int],
    *,
    clock: Callable[[], int],
    jitter: Callable[[], float],
    version: str = "",
    mirrors: Sequence[Mirror] = (),
) -> TurnContext:
    """The context of a service's turns, with nothing under way. ``clock`` gives ms since epoch, ``jitter`` 0 to 1."""
    return TurnContext(
        service=service,
        version=version,
        codec=codec,
        router=Router(list(deciders.values()), codec),
        state=state,
        queues=KeyQueues(),
        offsets=OffsetTracker(),
        breaker=Breaker(threshold=settings.breaker_threshold),
        policy=settings.retry_policy(),
        limits=settings.limits(),
        partition_of=partition_of,
        clock=clock,
        jitter=jitter,
        old_headers=settings.old_headers,
        mirrors={mirror.event: mirror for mirror in mirrors},
    )
