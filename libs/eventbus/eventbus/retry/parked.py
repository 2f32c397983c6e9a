"""Parked messages: what a record of ``<service>.retry`` says.

The topic is compacted. A record's key is the coordinates of the original message, its value the original value, and
its headers are the original ones beside ``__eventbus.retry.*`` (how it waits) and ``__eventbus.errors.*`` (why). Its
states are WAITING → DEAD → REDRIVEN → RESOLVED or DISCARDED. A key is *parked* while any of its messages is in one
of the first three, and what comes for it queues behind, by ``sequence``. BURIED marks a dead letter that parks
nothing: it is recorded so that the same record, if it is read again, does not become a second dead letter.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from eventbus.model.places import Entity, whole_number
from eventbus.model.record import LATEST, Headers, Raw

RETRY = "__eventbus.retry."

ERRORS = "__eventbus.errors."

TRUNCATED = f"{ERRORS}truncated"

FORMAT = 1
"""Raise it whenever code that reads these records could misread them from now on, such as by a new state."""


class NewerFormat(ValueError):
    """A record of a retry topic that newer code wrote, in a format that is not known here."""


class State(StrEnum):
    """How a message waits. The last three are final."""

    WAITING = "WAITING"
    DEAD = "DEAD"
    REDRIVEN = "REDRIVEN"
    RESOLVED = "RESOLVED"
    DISCARDED = "DISCARDED"
    BURIED = "BURIED"

    @property
    def open(self) -> bool:
        return self not in (State.RESOLVED, State.DISCARDED, State.BURIED)


@dataclass(frozen=True)
class Parked:
    """One message that waits. ``attempt`` counts tries so far; ``due`` is ms since epoch, 0 behind another."""

    raw: Raw
    log: str
    key: str
    sequence: int
    state: State
    attempt: int
    due: int
    since: int
    exception: str = ""
    message: str = ""
    stacktrace: str = ""
    called: bool = False
    """Whether the last try asked the outside."""
    events: tuple[str, ...] = ()
    """Of a resolved message: the names of the own events it led to."""
    by: str = ""
    """The operator who redrove or discarded it last."""

    @classmethod
    def rejected(cls, raw: Raw, error: BaseException, now: int) -> Parked:
        """A message that cannot be parked: it becomes a dead letter, and nothing waits for it."""
        return cls(raw, "", "", 0, State.BURIED, 1, 0, now).because(error)

    def remembered(self) -> Parked:
        """The same without the content of the record, which its dead letter holds."""
        return replace(self, raw=self.raw._replace(key=b"", value=b"", headers=[]), stacktrace="")

    @property
    def entity(self) -> Entity:
        """The key that is parked, of its decider's log."""
        return Entity(self.log, self.key)

    def because(self, error: BaseException) -> Parked:
        """The same, with the error that keeps it waiting."""
        return replace(
            self,
            exception=type(error).__name__,
            message=str(error)[:1000],
            stacktrace="".join(traceback.format_exception(error))[-4000:],
        )

    def headers(self) -> Headers:
        """The headers of its record in the retry topic."""
        waits = {
            "format": FORMAT,
            "log": self.log,
            "key": self.key,
            "sequence": self.sequence,
            "state": self.state.value,
            "attempt": self.attempt,
            "due": self.due,
            "since": self.since,
            "called": int(self.called),
            "events": ",".join(self.events),
        }
        if self.by:
            waits["by"] = self.by
        return [*self.raw.headers, *_headers(RETRY, waits), *self.why()]

    def why(self) -> Headers:
        """The headers that say where the message came from, and what keeps it."""
        about = {
            "topic": self.raw.topic,
            "partition": self.raw.partition,
            "offset": self.raw.offset,
            "timestamp": self.raw.timestamp,
            "exception": self.exception,
            "message": self.message,
            "stacktrace": self.stacktrace,
        }
        return _headers(ERRORS, about)

    def dead_letter_headers(self, group: str, version: str, now: int) -> Headers:
        """The headers of a dead letter: the original ones, and all there is to know about its failure."""
        about = {
            "group": group,
            "service.version": version,
            "attempts": self.attempt,
            "since": self.since,
            "failed.at": now,
        }
        return [*self.raw.headers, *self.why(), *_headers(ERRORS, about)]

    @classmethod
    def from_record(cls, record: Raw) -> Parked:
        """The inverse, from a record of the retry topic. Raises KeyError or ValueError if it is none, NewerFormat if
        this code cannot say what it is."""
        if record.flaw:
            raise ValueError(record.flaw)
        texts = {
            name: value.decode("utf-8", "replace")
            for name, value in record.headers
            if value is not None and name.startswith("__eventbus.")
        }

        # Records of the code before formats were numbered name none.
        if whole_number(number := texts.get(RETRY + "format", "1")) > FORMAT:
            raise NewerFormat(f"it is written in format {number}, this code reads up to format {FORMAT}")

        def retry(name: str) -> str:
            return texts[RETRY + name]

        def error(name: str) -> str:
            return texts[ERRORS + name]

        raw = Raw(
            topic=error("topic"),
            partition=whole_number(error("partition")),
            offset=whole_number(error("offset")),
            key=retry("key").encode(),
            value=record.value,
            headers=[(k, v) for k, v in record.headers if not k.startswith("__eventbus.")],
            timestamp=time_of(error("timestamp")),
        )
        return cls(
            raw=raw,
            log=retry("log"),
            key=retry("key"),
            sequence=whole_number(retry("sequence")),
            state=State(retry("state")),
            attempt=whole_number(retry("attempt")),
            due=time_of(retry("due")),
            since=time_of(retry("since")),
            exception=error("exception"),
            message=error("message"),
            stacktrace=error("stacktrace"),
            # Records of the first version of this library lack these two.
            called=texts.get(RETRY + "called") == "1",
            events=tuple(texts.get(RETRY + "events", "").split(",")) if texts.get(RETRY + "events") else (),
            by=texts.get(RETRY + "by", ""),
        )


def _headers(prefix: str, about: Mapping[str, object]) -> Headers:
    return [(prefix + name, str(value).encode("utf-8", "backslashreplace")) for name, value in about.items()]


def time_of(text: str) -> int:
    """Ms since epoch, up to the year 9999; raises ValueError."""
    time = whole_number(text)
    if time > LATEST:
        raise ValueError(f"{text} ms lie after the year 9999")
    return time
