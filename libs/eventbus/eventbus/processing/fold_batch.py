"""What one batch of own records adds to the state, before it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventbus.codec import Codec
from eventbus.model.decider import Decider
from eventbus.model.folding import Folded, fold
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.own_log import Doubtful, Foreign, Newer, next_event, parked_message
from eventbus.processing.ports import StateStore
from eventbus.retry.parked import Parked


class FoldBatch:
    """Folds records of own logs and retry topics in memory, on top of a store."""

    def __init__(
        self, store: StateStore, codec: Codec, service: str, partition_of: Callable[[bytes], int]
    ) -> None:
        self._store, self._codec, self._partition_of = store, codec, partition_of
        self._retry = f"{service}.retry"
        self.folds: dict[Entity, tuple[int, Folded[Any]]] = {}
        """By entity, the number of its partition and its new state."""
        self.events: list[Envelope] = []
        self.parked: list[tuple[str, Parked]] = []
        """Retry topics, each with a parked message."""
        self._states: dict[Entity, Folded[Any]] = {}

    def take(self, raw: Raw) -> None:
        """Add one record. Raises Foreign or Doubtful; then nothing of it is added."""
        if raw.topic in self._store.deciders:
            self._fold(raw)
        else:
            self._park(raw)

    def _fold(self, raw: Raw) -> None:
        decider = self._store.deciders[raw.topic]
        event = next_event(
            raw, self._codec, self._partition_of, lambda key: self._state(decider, key).version
        )
        key = event.message.key
        try:
            folded = fold(decider, self._state(decider, key), event)
        except Exception as error:
            raise Newer(f"{event.message.name} cannot be folded: {error!r}") from error
        entity = Entity(raw.topic, key)
        self._states[entity] = folded
        self.folds[entity] = (raw.partition, folded)
        self.events.append(event)

    def _state(self, decider: Decider[Any], key: str) -> Folded[Any]:
        """The state of a key after what was taken of it so far."""
        entity = Entity(decider.log, key)
        if entity not in self._states:
            self._states[entity] = self._store.load(decider, key)
        return self._states[entity]

    def _park(self, raw: Raw) -> None:
        try:
            parked = parked_message(raw, self._partition_of, self._may_wait_in(raw.topic))
        except Doubtful as error:
            if raw.topic == self._retry:
                raise
            # Another service's topic is followed to show what waits there. It stops nothing here.
            raise Foreign(str(error)) from error
        self.parked.append((raw.topic, parked))

    def _may_wait_in(self, retry: str) -> Callable[[str], bool]:
        """The logs whose messages may wait in a retry topic: any log, if the topic is another service's."""
        own = retry == self._retry
        return lambda name: not own or name in self._store.deciders
