"""The states that were written last, kept in memory: the next message of a key comes soon and finds its state."""

from __future__ import annotations

from typing import Any

from eventbus.model.folding import Folded
from eventbus.model.places import Entity

MOST = 4_096
"""States kept at most. At 300 orders a second that is the last ten seconds."""
LARGEST = 4_096
"""Bytes that a state may have as JSON to be kept: many large ones would fill the memory."""


class RecentStates:
    """Belongs to the one connection that writes, so nothing changes a row behind its back.

    Each row that is written is put here, or dropped from here, once the local transaction has committed; what is
    forgotten there is forgotten here. So an entry always says what its row says. Values are immutable.
    """

    def __init__(self) -> None:
        self._states: dict[Entity, Folded[Any]] = {}

    def get(self, entity: Entity) -> Folded[Any] | None:
        """The state as it is stored, if it is kept here."""
        return self._states.get(entity)

    def put(self, entity: Entity, folded: Folded[Any], size: int) -> None:
        """The state that is stored now, of ``size`` bytes. The one written longest ago makes room."""
        self._states.pop(entity, None)
        if size > LARGEST:
            return
        if len(self._states) >= MOST:
            del self._states[next(iter(self._states))]
        self._states[entity] = folded

    def clear(self) -> None:
        self._states.clear()
