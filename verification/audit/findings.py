"""What the audit reports, as plain records."""

from __future__ import annotations

from typing import NamedTuple


class Broken(NamedTuple):
    """A rule that an event breaks."""

    rule: str
    expected: str
    found: str


class Violation(NamedTuple):
    """Something that must never happen. ``subject``: an order or product; ``where``: a place in a topic or the
    gateway."""

    rule: str
    subject: str
    expected: str
    found: str
    where: str


class DeadLetter(NamedTuple):
    """A message that waits for a person: where it stood (``origin``), who gave it up and why.

    ``place`` is where it is in the dead letter topic, ``order`` the order it is about, "" where that cannot be told.
    """

    order: str
    service: str
    origin: str
    place: str
    reason: str
    time: int


class Undecided(NamedTuple):
    """A record that ``group`` had not decided when the cut was taken. ``time`` in ms since epoch.

    ``tries`` is None unless it is parked: then so many tries have failed.
    """

    group: str
    topic: str
    partition: int
    offset: int
    order: str
    time: int
    tries: int | None = None

    def __str__(self) -> str:
        place = f"{self.topic}-{self.partition}-{self.offset}"
        if self.tries is None:
            return f"{self.group} has not decided {place}"
        return f"{self.group} has parked {place} after {self.tries} tries"


class OpenOrder(NamedTuple):
    """An order that is not judged yet: ``age`` in seconds, and what it waits for."""

    order: str
    status: str
    age: float
    waits_for: str
