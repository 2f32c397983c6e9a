"""What is to be decided, for whom, and what queues behind a call."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from eventbus.model.decider import DeadlinePassed, Decider, Outcome
from eventbus.model.errors import UnknownSchema
from eventbus.model.messages import Author, Command, Envelope, Message
from eventbus.model.once import once
from eventbus.model.places import UNWRITTEN, Entity
from eventbus.model.record import Raw


@dataclass(frozen=True)
class Unread:
    """In place of a message: its schema is not known here, so only its key is. To decide it raises ``error``."""

    error: UnknownSchema


class WorkItem(Struct, frozen=True, eq=False, dict=True):
    """Something for a decider to decide: an input record, a parked one whose turn has come, a deadline, or an own
    message that is not written. The last two have a ``raw`` that stands nowhere."""

    decider: Decider[Any]
    raw: Raw
    key: str
    message: Message | Outcome | Unread
    correlation_id: str
    traceparent: str | None = None
    message_id: str | None = None
    """The message's own id (``ce_id``); None for a deadline, and for what is not written."""
    parked: bool = False
    author: Author | None = None
    """Who wished it, if it is a command: its events say so too. No event is the wish of who led to its cause."""
    sent_as: str = ""
    """Of an own message that is not written: what tells it from all others. It begins with the coordinates of the
    record that led to it."""

    @classmethod
    def of(cls, decider: Decider[Any], raw: Raw, envelope: Envelope, parked: bool = False) -> WorkItem:
        """``raw`` for ``decider``, decoded as ``envelope``."""
        message = envelope.message
        return cls(
            decider,
            raw,
            message.key,
            message,
            correlation_id=envelope.correlation_id,
            traceparent=envelope.traceparent,
            message_id=envelope.id,
            parked=parked,
            author=envelope.author if isinstance(message, Command) else None,
        )

    @classmethod
    def unread(cls, decider: Decider[Any], raw: Raw, key: str, error: UnknownSchema) -> WorkItem:
        """``raw`` for ``decider``, which waits until its schema is known. ``key``: that of the record."""
        return cls(decider, raw, key, Unread(error), raw.coordinates)

    @classmethod
    def next(cls, decider: Decider[Any], cause: Raw, envelope: Envelope) -> WorkItem:
        """What ``cause`` leads to, for the ``decider`` here."""
        message, topic = envelope.message, f"{envelope.topic}{UNWRITTEN}"
        return cls(
            decider,
            Raw(topic, envelope.partition, cause.offset, None, None, [], cause.timestamp),
            message.key,
            message,
            correlation_id=envelope.correlation_id,
            traceparent=envelope.traceparent,
            sent_as=envelope.id.partition("/")[2],  # without the name of the service
        )

    @once
    def entity(self) -> Entity:
        return Entity(self.decider.log, self.key)

    @property
    def origin(self) -> str:
        """Unique in the service: the coordinates of the record, with the key for a deadline that keys may share, or
        with what tells apart the own messages that it led to."""
        if self.sent_as:
            return self.sent_as
        if isinstance(self.message, DeadlinePassed):
            return f"{self.raw.coordinates}/{self.key}"
        return self.raw.coordinates

    @property
    def causation_id(self) -> str:
        """The id of what leads to the outputs. An own message that is not written stands for the record that led to
        it, and has its coordinates."""
        if self.sent_as:
            return self.sent_as.partition("/")[0]
        return self.message_id or self.origin


class KeyQueue(deque[WorkItem]):
    """Inputs of one key that wait for the call of the one before them. ``task``: the number of their partition."""

    def __init__(self, task: int) -> None:
        super().__init__()
        self.task = task


class KeyQueues(dict[Entity, KeyQueue]):
    """The keys with a call under way, each with the inputs that queue behind it."""

    def drop(self, tasks: Iterable[int] | None = None) -> None:
        """Forget the keys of these tasks (of all, if None): their input will be read again."""
        gone = None if tasks is None else set(tasks)
        for entity in [e for e, queue in self.items() if gone is None or queue.task in gone]:
            del self[entity]
