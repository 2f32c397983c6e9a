"""Messages: immutable, typed records that travel through topics.

A *command* asks for something (``CancelOrder``), an *event* states what happened (``OrderCancelled``). Each message
class is bound to its Avro schema, its topic and the field that is its key; the classes themselves are generated from
the ``.avsc`` files of their schema package.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace

from eventbus.model.places import Position, led_by
from eventbus.model.randomness import random_piece
from eventbus.model.versions import Version

M = TypeVar("M", bound="type[Message]")


class Range(NamedTuple):
    """The whole numbers that a field may hold, both ends included."""

    low: int
    high: int


INT64 = Range(-(2**63), 2**63 - 1)
"""Of a field that is a plain ``int``: Avro's ``long``."""
Int32 = Annotated[int, Range(-(2**31), 2**31 - 1)]
"""Of a field that Avro calls ``int``: 32 bits."""


class Message:
    """Base of all messages. Subclasses are frozen dataclasses decorated with :func:`message`."""

    __slots__ = ()

    topic: ClassVar[str]
    key_field: ClassVar[str]
    schema: ClassVar[str]
    name: ClassVar[str]
    stamped: ClassVar[bool]

    @property
    def key(self) -> str:
        """The message's key: the id of the order or product it is about."""
        return str(getattr(self, self.key_field))

    def stamp(self, now: int) -> Message:
        """This message, with a ``timestamp`` of 0 replaced by ``now`` (ms since epoch, UTC)."""
        if self.stamped and getattr(self, "timestamp") == 0:  # noqa: B009 - not every message has one
            return dataclasses.replace(self, timestamp=now)  # type: ignore[type-var]
        return self


class Event(Message):
    """States what happened. Its name is in the past tense. Only the owner of its topic writes it."""

    __slots__ = ()


class Command(Message):
    """Asks for something. Its name is in the imperative. Anyone may send it; its receiver decides."""

    __slots__ = ()


class Author(NamedTuple):
    """Who wished something: ``authtype`` and ``authid`` of CloudEvents' Auth Context extension."""

    kind: str
    """``user``, ``app_user``, ``service_account``, ``api_key`` …"""
    id: str


class Envelope(Struct, frozen=True, eq=False):
    """A message with what its headers and its place in the log say about it. ``msgspec.structs.replace`` changes it.

    ``time`` is ms since epoch (UTC). ``cause`` is the position of the input an event answers, ``causation_id`` the id
    of that input, and ``key_version`` counts the events of its key from 1; they are None on what did not come from a
    processor. ``author`` is who wished it: it stands on commands, and on the events that answer them.
    ``size`` is that of the encoded body in bytes, 0 if it was not encoded yet.
    """

    message: Message
    id: str
    time: int
    source: str
    correlation_id: str
    cause: str | None
    key_version: int | None
    traceparent: str | None
    topic: str
    partition: int
    offset: int
    size: int = 0
    causation_id: str | None = None
    author: Author | None = None

    def __eq__(self, other: object) -> bool:
        """Whether all but the sizes are equal: what was not encoded yet equals what was read."""
        return isinstance(other, Envelope) and astuple(replace(self, size=other.size)) == astuple(other)

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)

    @property
    def led_by(self) -> str | None:
        """The position of the record that led to it: its cause, if that was written."""
        return led_by(self.cause, self.causation_id)

    @classmethod
    def from_outside(
        cls,
        message: Message,
        topic: str,
        partition: int,
        *,
        time: int,
        source: str,
        correlation_id: str | None = None,
        traceparent: str | None = None,
        author: Author | None = None,
        identity: str | None = None,
    ) -> Envelope:
        """What nothing in a log caused, not written yet: it begins a correlation of its own unless given one.

        ``identity``: its id; a random one unless given.
        """
        identity = identity or str(uuid.UUID(bytes=random_piece(), version=4))
        return cls(
            message,
            identity,
            time,
            source,
            correlation_id or identity,
            cause=None,
            key_version=None,
            traceparent=traceparent,
            topic=topic,
            partition=partition,
            offset=-1,
            author=author,
        )


def message(*, topic: str, key: str, schema: str) -> Callable[[M], M]:
    """Bind a message class to its topic, key field (snake_case) and latest schema (``Name.v2`` or ``Name.v2.1``)."""

    def bind(cls: M) -> M:
        cls.topic, cls.key_field, cls.schema = topic, key, schema
        cls.name = Version.parse(schema).name
        cls.stamped = any(f.name == "timestamp" for f in dataclasses.fields(cls))  # type: ignore[arg-type]
        return cls

    return bind
