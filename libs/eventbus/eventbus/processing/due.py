"""What is due, and when: parked messages whose wait is over, and deadlines of entities, of the tasks led."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from eventbus.model.places import Entity
from eventbus.processing.ports import StateStore
from eventbus.retry.parked import Parked, State


class DueQueue:
    """A view of the store for the leader; it can be made anew from there at any time."""

    def __init__(self, store: StateStore, look_every: int = 100) -> None:
        """``look_every``: ms between two looks for deadlines."""
        self._store, self._look_every = store, look_every
        self._heap: list[tuple[int, Entity]] = []
        self._due: dict[Entity, int] = {}
        self._looked_at = 0
        self._answered: set[tuple[Entity, int]] = set()

    def rebuild(self, partitions: Iterable[int]) -> None:
        """Read the parked messages of these partitions from the store. No other partition is led now."""
        self._heap, self._due = [], {}
        for head in self._store.parked.heads(partitions):
            self.note(head.entity, [head])

    def note(self, entity: Entity, queue: list[Parked]) -> None:
        """A key's queue has changed; its first message says when it is due."""
        head = queue[0] if queue else None
        if head is None or head.state is State.DEAD:
            self._due.pop(entity, None)
        elif self._due.get(entity) != head.due:
            self._due[entity] = head.due
            heapq.heappush(self._heap, (head.due, entity))

    def due(self, now: int, most: int) -> list[Entity]:
        """Parked keys whose first message is due. Each is given once, until it is noted again."""
        keys: list[Entity] = []
        while self._heap and self._heap[0][0] <= now and len(keys) < most:
            due, entity = heapq.heappop(self._heap)
            if self._due.get(entity) == due:
                del self._due[entity]
                keys.append(entity)
        return keys

    def some(
        self, most: int, wanted: Callable[[Entity, int], bool], dice: Callable[[], float]
    ) -> list[Entity]:
        """Up to ``most`` parked keys, due or not, chosen at random: of those for which ``wanted`` (key, due) is true.

        ``dice`` gives numbers from 0 to 1. Each key is given once, until it is noted again.
        """
        found = [entity for entity, due in self._due.items() if wanted(entity, due)] if most > 0 else []
        chosen: list[Entity] = []
        while found and len(chosen) < most:
            at = min(int(dice() * len(found)), len(found) - 1)
            found[at], found[-1] = found[-1], found[at]
            chosen.append(found.pop())
            del self._due[chosen[-1]]
        return chosen

    def deadlines(self, now: int, partitions: Iterable[int]) -> list[tuple[Entity, int]]:
        """Entities whose deadline has passed, each once, with the deadline; looked up every so often."""
        if now - self._looked_at < self._look_every and now >= self._looked_at:
            return []
        self._looked_at = now
        due = self._store.due(now, partitions)
        passed = [d for d in due if d not in self._answered]
        self._answered = set(due)
        return passed

    def overdue(self, now: int, partitions: Iterable[int]) -> set[tuple[Entity, int]]:
        """What is due in these tasks, whoever leads them: deadlines, and the first messages of parked keys."""
        tasks = list(partitions)
        heads = (head for head in self._store.parked.heads(tasks) if head.state is not State.DEAD)
        return {(head.entity, head.due) for head in heads if head.due <= now} | set(
            self._store.due(now, tasks)
        )

    def forget_answered(self) -> None:
        """After an aborted transaction, deadlines come again."""
        self._answered.clear()
