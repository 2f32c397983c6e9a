"""Where things stand in Kafka, and which key of which log they are about. Topics are named without the prefix."""

from __future__ import annotations

from typing import NamedTuple

LARGEST = 2**63 - 1
"""What a signed 64-bit integer holds: offsets, times and counts of Kafka and of the state fit."""
UNWRITTEN = ".unwritten"
"""How the name of the input ends from which a message came that was decided as soon as it was sent: no topic, for
nobody wrote it. Its place has the partition of its key and the offset of the record that led to it."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The inverse of ``str``; raises ValueError."""
        topic, partition, offset = text.rsplit("-", 2)
        return cls(topic, whole_number(partition), whole_number(offset))


def led_by(cause: str | None, causation_id: str | None) -> str | None:
    """The position of the record that led to an event. Where its cause was not written, that stands in the place of
    the id of its cause; if there is no position there, it is the cause after all."""
    if cause and causation_id and cause.rsplit("-", 2)[0].endswith(UNWRITTEN):
        try:
            return str(Position.parse(causation_id))
        except ValueError:
            return cause
    return cause


class Entity(NamedTuple):
    """What a decider decides about: one key of its log."""

    log: str
    key: str


def whole_number(text: str) -> int:
    """The number that a header or a name says in decimal digits, from 0 to 2^63 - 1. Raises ValueError.

    ``int`` would take signs, spaces, underscores and digits of other scripts, and numbers that no store can hold.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST):
        raise ValueError(f"{text[:40]!r} is not a number from 0 to {LARGEST}")
    return int(text)
