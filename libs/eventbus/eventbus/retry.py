"""Waiting messages: what a record of ``<service>.retry`` says, when the next attempt is due, and the breaker.

The topic is compacted. A record's key is the coordinates of the original message, its value the original value, and
its headers are the original ones beside ``__eventbus.retry.*`` (how it waits) and ``__eventbus.errors.*`` (why). Its
states are WAITING → DEAD → REDRIVEN → RESOLVED or DISCARDED. A key is *parked* while any of its messages is in one
of the first three, and what comes for it queues behind, by ``sequence``. BURIED stands for a dead letter that parks
nothing: it is remembered, so that the same record read again does not become a second dead letter.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from eventbus.codec import LATEST, Headers, Raw
from eventbus.messages import whole_number

RETRY = "__eventbus.retry."
ERRORS = "__eventbus.errors."
TRUNCATED = f"{ERRORS}truncated"
REMEMBERED = 10_000
Entity = tuple[str, str]
"""A decider's log and a key."""


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

    @classmethod
    def buried(cls, raw: Raw, error: BaseException, now: int) -> Parked:
        """A message that parks nothing: its dead letter is all that becomes of it."""
        return cls(raw, "", "", 0, State.BURIED, 1, 0, now).because(error)

    def remembered(self) -> Parked:
        """The same without what the record holds, which its dead letter keeps."""
        return replace(self, raw=self.raw._replace(key=b"", value=b"", headers=[]), stacktrace="")

    @property
    def entity(self) -> tuple[str, str]:
        """The decider's log and the key that is parked."""
        return self.log, self.key

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

    def letter(self, group: str, version: str, now: int) -> Headers:
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
        """The inverse, from a record of the retry topic. Raises KeyError or ValueError if it is none."""
        if record.flaw:
            raise ValueError(record.flaw)
        told = {
            name: value.decode("utf-8", "replace")
            for name, value in record.headers
            if value is not None and name.startswith("__eventbus.")
        }

        def waits(name: str) -> str:
            return told[RETRY + name]

        def why(name: str) -> str:
            return told[ERRORS + name]

        raw = Raw(
            topic=why("topic"),
            partition=whole_number(why("partition")),
            offset=whole_number(why("offset")),
            key=waits("key").encode(),
            value=record.value,
            headers=[(k, v) for k, v in record.headers if not k.startswith("__eventbus.")],
            timestamp=time_of(why("timestamp")),
        )
        return cls(
            raw=raw,
            log=waits("log"),
            key=waits("key"),
            sequence=whole_number(waits("sequence")),
            state=State(waits("state")),
            attempt=whole_number(waits("attempt")),
            due=time_of(waits("due")),
            since=time_of(waits("since")),
            exception=why("exception"),
            message=why("message"),
            stacktrace=why("stacktrace"),
            # Records of the first version of this library lack these two.
            called=told.get(RETRY + "called") == "1",
            events=tuple(told.get(RETRY + "events", "").split(",")) if told.get(RETRY + "events") else (),
        )


def _headers(prefix: str, about: Mapping[str, object]) -> Headers:
    return [(prefix + name, str(value).encode("utf-8", "backslashreplace")) for name, value in about.items()]


def time_of(text: str) -> int:
    """Ms since epoch, up to the year 9999; raises ValueError."""
    time = whole_number(text)
    if time > LATEST:
        raise ValueError(f"{text} ms lie after the year 9999")
    return time


@dataclass(frozen=True)
class RetryPolicy:
    """``attempts`` tries, the first included; waits of ``backoff`` seconds that double up to ``longest``."""

    attempts: int = 3
    backoff: float = 1.0
    longest: float = 60.0

    def wait(self, attempt: int, jitter: float) -> int:
        """Ms to wait after that many tries; ``jitter`` from 0 to 1 takes up to half of it off."""
        seconds = min(self.backoff * 2.0 ** max(attempt - 1, 0), self.longest)
        return round(seconds * (1 - jitter / 2) * 1000)


@dataclass
class Breaker:
    """Opens when many different keys fail one after another, and closes with the first that does not.

    One bad key never opens it: only ``threshold`` different ones do, with no success for ``streak`` ms. A key that
    failed while another did not is bad for a reason of its own: that it fails again says nothing of the outside.

    While it is open no attempt is counted, and calls are probes, of two kinds. Keys that have not failed since the
    last success, such as those of new input, may be good: ``burst`` of them are asked about at once, so that many bad
    ones do not hold up a good one, and then ``a_second``. Keys that have failed are asked about again, ``a_second``,
    to find out whether the outside is back.
    """

    threshold: int = 5
    streak: int = 500
    at_once: int = 32
    """Calls under way above which no probe begins."""
    a_turn: int = 8
    """Probes that begin in one turn at most: the first success of a turn makes those of the next unnecessary."""
    burst: int = 200
    a_second: float = 2.0
    failed: set[Entity] = field(default_factory=set)
    """Keys that have failed since the last success."""
    failing_since: int = 0
    own_fault: dict[Entity, None] = field(default_factory=dict)
    """Keys that failed while others did not, the latest ``REMEMBERED``."""
    opened_at: int | None = None
    changed: Callable[[bool], None] = lambda is_open: None
    _untried: float = 0.0
    _again: float = 0.0
    """Probes that may begin, of each kind, as reckoned at ``_reckoned_at``."""
    _reckoned_at: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def failure(self, entity: Entity, now: int) -> None:
        if entity in self.own_fault:
            return
        if not self.failed:
            self.failing_since = now
        self.failed.add(entity)
        lasts = now - self.failing_since >= self.streak
        if not self.is_open and lasts and len(self.failed) >= self.threshold:
            self.opened_at = self._reckoned_at = now
            self._untried, self._again = float(self.burst), 0.0
            self.changed(True)

    def success(self, entity: Entity | None = None) -> None:
        """The outside answered, about ``entity`` if it is given."""
        self.own_fault.update(dict.fromkeys(self.failed))
        if entity is not None:
            self.own_fault.pop(entity, None)
        while len(self.own_fault) > REMEMBERED:
            del self.own_fault[next(iter(self.own_fault))]
        self.failed.clear()
        if self.is_open:
            self.opened_at = None
            self.changed(False)

    def untried(self, entity: Entity) -> bool:
        """Whether the key may be good, for all that is known since the last success."""
        return entity not in self.failed and entity not in self.own_fault

    def room(self, now: int, under_way: int) -> tuple[int, int]:
        """How many probes may begin now, beside the calls under way: about keys untried, and about others again."""
        passed = max(0, now - self._reckoned_at) / 1000 * self.a_second
        self._untried = min(self._untried + passed, float(self.burst))
        self._again = min(self._again + passed, 1.0)
        self._reckoned_at = now
        most = max(0, min(self.at_once - under_way, self.a_turn))
        return min(most, int(self._untried)), min(most, int(self._again))

    def probed(self, untried: int, again: int = 0) -> None:
        """So many probes have begun."""
        self._untried -= untried
        self._again -= again
