"""The retry queues: the working memory of one turn about messages that wait.

What waits is read from the store when first asked for; what changes leaves as records of the retry topic (and, for a
message that dies, as a copy for people in the DLQ), in the transaction of the turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.retry.parked import Parked, State
from eventbus.retry.policy import RetryPolicy


class Committed(Protocol):
    """What waits according to the retry topic."""

    def queue(self, entity: Entity) -> list[Parked]:
        """What waits for a key of a log, oldest first."""
        ...

    def known(self, coordinates: str) -> State | None:
        """How the message of these coordinates waits, or how its wait ended."""
        ...


class RetryQueues:
    """The queues of parked keys, as they will be once this turn has committed."""

    def __init__(
        self,
        committed: Committed,
        policy: RetryPolicy,
        clock: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        """``clock`` gives ms since epoch, ``jitter`` a number from 0 to 1."""
        self._committed, self._policy, self._clock, self._jitter = committed, policy, clock, jitter
        self._queues: dict[Entity, list[Parked]] = {}
        self.changed: dict[str, Parked] = {}
        """By coordinates, what this turn changed: these records go to the retry topic."""
        self.died: list[Parked] = []
        """What became a dead letter in this turn, in order."""

    def queue(self, entity: Entity) -> list[Parked]:
        """What waits for a key, oldest first; empty if the key is not parked."""
        if entity not in self._queues:
            self._queues[entity] = self._committed.queue(entity)
        return self._queues[entity]

    def knows(self, raw: Raw) -> bool:
        """Whether the retry topic knows the record: it was parked once, or became a dead letter."""
        return raw.coordinates in self.changed or self._committed.known(raw.coordinates) is not None

    def is_first(self, parked: Parked) -> bool:
        """Whether the message stands at the head of its key's queue."""
        queue = self.queue(parked.entity)
        return bool(queue) and queue[0].raw.coordinates == parked.raw.coordinates

    def join(self, entity: Entity, raw: Raw) -> None:
        """A message of a parked key goes to the end of its queue."""
        self._add(entity, raw, State.WAITING, 0, 0)

    def fail(
        self,
        entity: Entity,
        raw: Raw,
        error: Exception,
        *,
        passing: bool,
        counted: bool,
        called: bool = False,
    ) -> None:
        """A message failed. ``passing``: it may go better later; ``counted``: this try counts as one; ``called``: it
        asked the outside.

        The first failure parks the key with this message at the head of its queue.
        """
        queue = self.queue(entity)
        head = queue[0] if queue and queue[0].raw.coordinates == raw.coordinates else None
        attempt = (head.attempt if head else 0) + counted
        dead = not passing or attempt >= self._policy.attempts
        due = 0 if dead else self._clock() + self._policy.wait(max(attempt, 1), self._jitter())
        state = State.DEAD if dead else State.WAITING
        if head is None:
            parked = self._add(entity, raw, state, attempt, due, error, called)
        else:
            parked = replace(head, state=state, attempt=attempt, due=due, called=called).because(error)
            self._put(parked)
        if dead and not (head and head.state is State.DEAD):
            self.died.append(parked)

    def resolve(self, parked: Parked, events: tuple[str, ...] = (), called: bool = False) -> None:
        """The message was decided, and led to these own events."""
        self._put(replace(parked, state=State.RESOLVED, due=0, events=events, called=called))

    def redrive(self, entity: Entity, by: str = "") -> bool:
        """Put the dead head of a key back to work, as ``by`` wished. False if there is none."""
        queue = self.queue(entity)
        if not queue or queue[0].state is not State.DEAD:
            return False
        self._put(replace(queue[0], state=State.REDRIVEN, attempt=0, due=self._clock(), called=False, by=by))
        return True

    def discard(self, parked: Parked, by: str = "") -> None:
        """An operator, ``by``, decided that the message will never be decided."""
        self._put(replace(parked, state=State.DISCARDED, due=0, by=by))

    def reject(self, raw: Raw, error: Exception) -> Parked:
        """Make a dead letter of a message that cannot be parked, and record that it became one."""
        rejected = Parked.rejected(raw, error, self._clock())
        self.changed[raw.coordinates] = rejected.remembered()
        return rejected

    def _add(
        self,
        entity: Entity,
        raw: Raw,
        state: State,
        attempt: int,
        due: int,
        error: Exception | None = None,
        called: bool = False,
    ) -> Parked:
        queue = self.queue(entity)
        parked = Parked(
            raw=raw,
            log=entity.log,
            key=entity.key,
            sequence=queue[-1].sequence + 1 if queue else 1,
            state=state,
            attempt=attempt,
            due=due,
            since=self._clock(),
            called=called,
        )
        parked = parked.because(error) if error else parked
        queue.append(parked)
        self.changed[raw.coordinates] = parked
        return parked

    def _put(self, parked: Parked) -> None:
        queue = self.queue(parked.entity)
        place = next(i for i, p in enumerate(queue) if p.raw.coordinates == parked.raw.coordinates)
        if parked.state.open:
            queue[place] = parked
        else:
            # A message that is over needs its bytes no more, neither in the retry topic nor in the state.
            parked = replace(parked, raw=parked.raw._replace(value=b""))
            del queue[place]
        self.changed[parked.raw.coordinates] = parked
