"""Business rules as pure functions: decider, reactor and the state they fold.

``decide(message, state) -> outputs`` says what a message leads to; ``evolve(state, event) -> state`` folds
the decider's own events. Neither knows a clock, an id generator, I/O or Kafka, so every rule is tested by
calling it. The pattern is J. Chassaing's *Decider* ("Functional Event Sourcing Decider", 2021).
This module imports the standard library only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from eventbus.model.listing import Listing
from eventbus.model.messages import Envelope, Message

S = TypeVar("S")
V = TypeVar("V")


class Request:
    """What a reactor wants to ask the outside world. Subclasses are frozen dataclasses."""

    __slots__ = ()


class Outcome:
    """What the outside world answered. Subclasses are frozen dataclasses; ``decide`` turns them into events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Outcome):
    """The deadline that a decider's ``deadline`` named for this key has come. ``at`` is ms since epoch."""

    key: str
    at: int


Output = Message | Request


class Projection(Protocol):
    """A read model: SQLite tables beside the state, written in the same local transaction as the fold.

    Every table has a column ``partition`` (of the log), so that one partition can be forgotten and rebuilt.
    """

    tables: str
    """DDL, each statement ``CREATE ... IF NOT EXISTS``."""

    def apply(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        """Fold one own event. Called once an event, in the order of its partition."""
        ...


@dataclass(frozen=True)
class Decider(Generic[S]):
    """One kind of entity: the log that holds its events, what it listens to, and its rules.

    ``decide`` returns the events for the own log, in order, and messages for other topics. If it returns
    anything it returns at least one own event; ``[]`` means that the log says all there is to say, as after a repeat.
    What leaves no event is decided again when offsets are reset, so it must lead to nothing then as well.
    """

    log: str
    inputs: tuple[type[Message], ...]
    initial: S
    """The state of a key without events: a frozen dataclass or msgspec Struct, whose fields JSON can hold. A state is
    never changed, only replaced: ``decide`` and ``evolve`` may be given the same object again."""
    decide: Callable[[Any, S], Sequence[Output]]
    evolve: Callable[[S, Any], S]
    projection: Projection | None = None
    listing: Listing[S] | None = None
    """How its keys are listed; ``Bus.page`` reads it."""
    sends: tuple[type[Message], ...] = ()
    """The messages for other topics that ``decide`` may return beside own events. Any other is refused. What a
    decider of the same service takes is mostly decided at once, and then not written: no other may rely on it."""
    settling: tuple[type[Message], ...] = ()
    """Inputs that end an entity's life: they are decided at once, even if messages of their key wait for a retry."""
    deadline: Callable[[S], int | None] | None = None
    """When (ms since epoch) ``decide`` is given :class:`DeadlinePassed`, if the state is still the same by then."""
    remembered_requests: int = 0
    """How many requests of a key are remembered, so that each is decided once however often it comes: the commands
    that :meth:`Bus.send` was given a ``request`` with. They are part of the state of the key, so they must be few."""
    fold_version: int = 1
    """The version of the fold. Raise it whenever the same log folds to something else: after a change of ``evolve``,
    the state's fields, ``deadline``, the projection's tables or ``apply``, the listing, an upcast, or of what these
    call.
    A store of another version, higher or lower, is rebuilt from the log at the next start."""


def nothing_to_record(request: Any, state: Any, error: Exception) -> Sequence[Message]:
    """Most reactors record nothing when a call gets no answer."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Reactor(Decider[S]):
    """A decider that must ask the outside world.

    Its ``decide`` may return exactly one :class:`Request`; the processor awaits ``call(request)`` and gives the
    :class:`Outcome` back to ``decide``. A call may be repeated after a crash, so it carries an idempotency key.
    It raises ``Retryable`` for what may pass and ``Poison`` for what will not.
    """

    call: Callable[[Any], Awaitable[Outcome]]
    on_call_failed: Callable[[Any, S, Exception], Sequence[Message]] = nothing_to_record
    """Own events that record that a request got no answer, or part of one. Its message waits for the next attempt.
    The arguments are the request, the state and what ``call`` raised: its class may hold that part."""
    on_retries_exhausted: Callable[[Any, S, str], Sequence[Message]] | None = None
    """Own events that settle a request after its last attempt failed. Without it the message becomes a dead letter.
    The arguments are the request, the state and the reason."""


class Table(Mapping[str, V]):
    """An immutable mapping that is stored row by row: for state that grows without bound.

    ``table.put(k, v)`` gives a new table; ``table[k]`` and ``table.get(k)`` load a row when it is first asked for.
    It cannot be iterated or counted, since that would load everything: keep counters in the state itself.
    """

    __slots__ = ("_changes", "_load")

    def __init__(
        self, rows: Mapping[str, V] | None = None, load: Callable[[str], V | None] | None = None
    ) -> None:
        self._changes: dict[str, V] = dict(rows or {})
        self._load = load

    def put(self, key: str, value: V) -> Table[V]:
        """This table with one row written."""
        table: Table[V] = Table(None, self._load)
        table._changes = {**self._changes, key: value}
        return table

    def changes(self) -> Mapping[str, V]:
        """The rows written since the table was loaded."""
        return self._changes

    def __getitem__(self, key: str) -> V:
        if key in self._changes:
            return self._changes[key]
        value = self._load(key) if self._load else None
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        raise TypeError("a Table is not iterable: its rows are loaded one at a time")

    def __len__(self) -> int:
        raise TypeError("a Table has no length: keep a counter in the state")

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._changes == other._changes

    def __hash__(self) -> int:
        return hash(frozenset(self._changes))

    def __repr__(self) -> str:
        return f"Table({self._changes!r})"
