"""What a record says about its causes: the part of it that a causal tree is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct

from eventbus.headers import Told
from eventbus.model.errors import Poison
from eventbus.model.places import Position, led_by
from eventbus.model.record import LATEST, Raw
from eventbus.retry.dead_letter import dead_letter
from eventbus.retry.parked import Parked, State

RETRY, LETTERS, SKIPS = ".retry", ".dlq", "eventbus.skips"
MAX_TYPE, MAX_ERROR = 200, 300
"""Characters of a type, and of the text of an error, that are kept."""
NameOf = Callable[[Raw], str]
"""The name of the message in a record, where no header says it; raises Poison."""


class Failure(Struct, frozen=True):
    """How a message that failed stands, by one record of a retry topic, or by a dead letter."""

    service: str
    state: str
    """One of :class:`~eventbus.retry.parked.State`, or ``DEAD LETTER``."""
    attempts: int
    due: int
    """Ms since epoch of its next try; 0 for none."""
    error: str

    @property
    def led_to(self) -> bool:
        """Whether other records were written with this one: those that resolved it, or that ask for it."""
        return self.state in (State.REDRIVEN, State.RESOLVED, State.DISCARDED)


class Link(Struct, frozen=True, eq=False):
    """One record, without its content.

    ``written`` and ``time`` are ms since epoch: when it came to its topic by the record, and when it happened by
    ``ce_time``. ``cause`` is the record that led to it; of a failure and of a skip, the record that it is about.
    """

    position: Position
    written: int
    time: int
    key: bytes
    type: str
    id: str
    service: str
    correlation: str
    cause: Position | None = None
    says: str = ""
    """The cause as the record says it."""
    causation: str = ""
    """The id of the cause as the record says it."""
    failure: Failure | None = None
    flaw: str = ""


def services_of(topics: Collection[str]) -> list[str]:
    """The services whose topics these are: each has one for retries, and one for dead letters."""
    names = (topic.removesuffix(RETRY) for topic in topics if topic.endswith(RETRY))
    return sorted(name for name in names if name + LETTERS in topics)


def link_of(raw: Raw, name_of: NameOf) -> Link:
    """What a record of any topic says. What it says that makes no sense counts as not said."""
    if raw.topic.endswith((RETRY, LETTERS)) and (found := _failed(raw, name_of)):
        return found
    if raw.topic == SKIPS:
        return _about(
            raw, name_of, (raw.key or b"").decode("utf-8", "replace"), "Skip" if raw.value else "Skip ended"
        )
    told = Told(raw)
    return _about(raw, name_of, led_by(told.extension("cause"), told.extension("causationid")) or "", None)


def correlation_of(raw: Raw) -> str:
    """What everything has in common that one message from outside led to, as this record says it."""
    told = Told(raw)
    return told.extension("correlationid") or told.header("ce_id") or raw.coordinates


def service_of(source: str) -> str:
    """The service that a ``ce_source`` names."""
    return source.removeprefix("/")[:MAX_TYPE]


def _about(raw: Raw, name_of: NameOf, cause: str, type_: str | None) -> Link:
    told = Told(raw)
    identity = told.header("ce_id") or raw.coordinates
    return Link(
        position=raw.position,
        written=_between(raw.timestamp),
        time=told.time,
        key=raw.key or b"",
        type=type_ or _type(raw, name_of),
        id=identity,
        service=service_of(told.header("ce_source") or ""),
        correlation=told.extension("correlationid") or identity,
        cause=_position(cause),
        says=cause,
        causation=told.extension("causationid") or "",
        flaw=raw.flaw,
    )


def _failed(raw: Raw, name_of: NameOf) -> Link | None:
    """A record about a message that failed; None if it is no such record, or if newer code wrote it."""
    try:
        parked = Parked.from_record(raw) if raw.topic.endswith(RETRY) else dead_letter(raw)
    except (KeyError, ValueError):
        return None
    service, _, kind = raw.topic.rpartition(".")
    said = f"{parked.exception}: {parked.message}" if parked.exception else ""
    original = parked.raw
    return Link(
        position=raw.position,
        written=_between(raw.timestamp),
        time=_between(raw.timestamp),
        key=parked.key.encode() if kind == "retry" else raw.key or b"",
        type=_type(original, name_of),
        id=raw.coordinates,
        service=service,
        correlation=correlation_of(original),
        cause=original.position,
        says=original.coordinates,
        failure=Failure(
            service,
            parked.state.value if kind == "retry" else "DEAD LETTER",
            parked.attempt,
            parked.due,
            said.partition("\n")[0][:MAX_ERROR],
        ),
    )


def _type(raw: Raw, name_of: NameOf) -> str:
    if named := raw.header("ce_type"):
        return named[:MAX_TYPE]
    try:
        return name_of(raw)
    except Poison:
        return ""


def _position(text: str) -> Position | None:
    try:
        return Position.parse(text)
    except ValueError:
        return None


def _between(millis: int) -> int:
    return millis if 0 <= millis <= LATEST else 0
