"""The parked keys and dead letters of services, folded from their topics; and the filters that choose among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from eventbus.model.errors import Poison
from eventbus.model.record import Raw
from eventbus.retry.dead_letter import dead_letter
from eventbus.retry.parked import TRUNCATED, Parked, State

BURIED = "BURIED"
"""The state of a dead letter that parks no key: it could not be read as a message of any key."""
STATES = (*(state.value for state in State), BURIED)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Item:
    """One message that failed, or is parked behind one that did.

    ``revision`` is the offset of the last record about it: it rises with each change.
    """

    service: str
    type: str
    state: str
    parked: Parked
    revision: int
    truncated: str = ""
    """The size of the whole record, if this dead letter holds only a part of it."""

    @property
    def coordinates(self) -> str:
        return self.parked.raw.coordinates

    @property
    def error(self) -> str:
        return f"{self.parked.exception}: {self.parked.message}" if self.parked.exception else ""

    @property
    def open(self) -> bool:
        return self.state != BURIED and self.parked.state.open


@dataclass(frozen=True)
class ParkedKey:
    """A key of a decider with its parked messages, oldest first."""

    service: str
    log: str
    key: str
    items: tuple[Item, ...]

    @property
    def head(self) -> Item:
        return self.items[0]


@dataclass(frozen=True)
class Filters:
    """Which messages match; a key matches if any of its messages does. None and empty mean: any."""

    keys: tuple[str, ...] = ()
    type: str | None = None
    error: str | None = None
    """The exception's class, or part of its text."""
    since: int | None = None
    until: int | None = None
    state: str | None = None

    def match(self, item: Item) -> bool:
        parked = item.parked
        wanted = (self.error or "").lower()
        return (
            (not self.keys or parked.key in self.keys)
            and (self.type is None or item.type.lower() == self.type.lower())
            and wanted in item.error.lower()
            and (self.since is None or parked.since >= self.since)
            and (self.until is None or parked.since <= self.until)
            and (self.state is None or item.state == self.state)
        )


@dataclass
class DeadLetterIndex:
    """The latest state of every message, by service and coordinates. Give it records in the order of their topic."""

    name_of: Callable[[bytes | None], str]
    """The name of the message in a value, where no header says it; raises Poison."""
    keep: str | None = None
    """The key, or the coordinates, of which all records are kept as history."""
    history: dict[tuple[str, str], list[Raw]] = field(default_factory=dict)
    _items: dict[tuple[str, str], Item] = field(default_factory=dict)
    _dead_letters: dict[tuple[str, str], Item] = field(default_factory=dict)

    def fold(self, record: Raw) -> None:
        """Fold one record of ``<service>.retry`` or ``<service>.dlq``; a record that no service wrote is ignored."""
        service, _, topic = record.topic.rpartition(".")
        try:
            parked = Parked.from_record(record) if topic == "retry" else dead_letter(record)
        except (KeyError, ValueError):
            return
        if topic == "retry" and parked.state is State.BURIED:
            return  # its dead letter holds more
        place = (service, parked.raw.coordinates)
        if self.keep is not None and self.keep in (parked.key, parked.raw.coordinates):
            self.history.setdefault(place, []).append(record)
        state = parked.state.value if topic == "retry" else BURIED
        truncated = record.header(TRUNCATED) if topic == "dlq" else None
        item = Item(service, self._type(parked.raw), state, parked, record.offset, truncated or "")
        (self._items if topic == "retry" else self._dead_letters)[place] = item

    def _type(self, raw: Raw) -> str:
        try:
            return raw.header("ce_type") or self.name_of(raw.value)
        except Poison:
            return ""

    def item(self, service: str, coordinates: str) -> Item | None:
        """A message, by its last record in the retry topic."""
        return self._items.get((service, coordinates))

    def buried(self) -> list[Item]:
        """Dead letters without a record in the retry topic: they park no key, and cannot be redriven."""
        return [item for place, item in self._dead_letters.items() if place not in self._items]

    def parked_keys(self) -> list[ParkedKey]:
        """All parked keys, the one that is parked longest first."""
        grouped: dict[tuple[str, str, str], list[Item]] = {}
        for item in self._items.values():
            if item.open:
                grouped.setdefault((item.service, item.parked.log, item.parked.key), []).append(item)
        keys = [
            ParkedKey(*entity, tuple(sorted(items, key=lambda i: i.parked.sequence)))
            for entity, items in grouped.items()
        ]
        return sorted(keys, key=lambda k: (k.head.parked.since, k.service, k.key))

    def matching(self, filters: Filters) -> list[ParkedKey]:
        """The parked keys of which a message matches, each with all its messages."""
        return [key for key in self.parked_keys() if any(filters.match(item) for item in key.items)]

    def not_parked(self, filters: Filters) -> list[Item]:
        """Matching messages that park no key: buried ones and, if ``filters`` name their state, settled ones."""
        settled = [i for i in self._items.values() if not i.open and i.state == filters.state]
        found = [i for i in (*settled, *self.buried()) if filters.match(i)]
        return sorted(found, key=lambda i: (i.parked.since, i.service, i.coordinates))

    def about(self, name: str) -> list[Item]:
        """Every message of a key, or the one at these coordinates; settled ones first, then in their order."""
        found = [i for i in (*self._items.values(), *self.buried()) if name in (i.parked.key, i.coordinates)]
        return sorted(
            found, key=lambda i: (i.service, i.parked.log, i.open, i.parked.since, i.parked.sequence)
        )


def instant(text: str, now: int) -> int:
    """ms since epoch of ``2026-05-04T10:00``, in UTC unless it says otherwise, or of ``15m`` (s, m, h, d) ago.

    Raises ValueError.
    """
    if ago := re.fullmatch(r"([0-9]+)([smhd])", text.strip()):
        return now - int(ago[1]) * _SECONDS[ago[2]] * 1000
    moment = datetime.fromisoformat(text.strip())
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def age(since: int, now: int) -> str:
    """How long ago, in the largest unit that fits: ``45s``, ``12m``, ``3h``, ``9d``."""
    seconds = max(now - since, 0) // 1000
    for unit, size in reversed(_SECONDS.items()):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "0s"


def why_not_redrivable(parked_key: ParkedKey, now: int) -> str:
    """Why a key cannot be redriven; empty if it can."""
    head = parked_key.head.parked
    if head.state is State.DEAD:
        return ""
    if head.state is State.REDRIVEN:
        return "busy: it was redriven and is being tried"
    left = max(head.due - now, 0) / 1000
    return f"busy: it waits for its next try, in {left:.0f} s, by itself"


def message_count(parked_keys: Sequence[ParkedKey]) -> int:
    """How many messages are parked under these keys."""
    return sum(len(key.items) for key in parked_keys)
