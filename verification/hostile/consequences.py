"""What hostile records led to: a dead letter, events, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from eventbus.model.places import Position
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS
from eventbus.settings import Settings
from verification.audit.ledger import LETTERS, WRITERS
from verification.audit.reading import AuditReader

LETTER, EVENTS, PASSED_OVER = "became dead letters", "led to events", "were passed over"


class Consequences:
    """What the record at each place led to. ``forged``: the hostile records, none of which counts as an answer."""

    def __init__(self, forged: Collection[Position]) -> None:
        self._forged = forged
        self._dead_lettered: set[str] = set()
        self._causes: set[str] = set()

    def take(self, raw: Raw) -> None:
        """Learn from one record of a dead letter topic or a log."""
        if Position(raw.topic, raw.partition, raw.offset) in self._forged:
            return
        if raw.topic in LETTERS:
            place = [raw.header(f"{ERRORS}{name}") for name in ("topic", "partition", "offset")]
            self._dead_lettered.add("-".join(map(str, place)))
        elif (cause := raw.extension("cause")) is not None:
            self._causes.add(cause)

    def of(self, place: Position) -> str:
        """What the record at a place led to."""
        if str(place) in self._dead_lettered:
            return LETTER
        return EVENTS if str(place) in self._causes else PASSED_OVER

    def count(self, places: Iterable[Position]) -> Counter[str]:
        """How many records led to what."""
        return Counter(self.of(place) for place in places)


def read(settings: Settings, forged: Collection[Position]) -> Consequences:
    """The consequences as far as the topics tell by now. Raises KafkaAway."""
    consequences, topics = Consequences(forged), AuditReader(settings)
    try:
        topics.read(topics.ends((*LETTERS, *WRITERS)), consequences.take)
    finally:
        topics.close()
    return consequences
