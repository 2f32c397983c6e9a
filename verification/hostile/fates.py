"""What became of hostile records: a dead letter, a cause of events, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from eventbus.model.places import Position
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS
from eventbus.settings import Settings
from verification.audit.ledger import LETTERS, WRITERS
from verification.audit.reading import Topics

LETTER, EVENTS, PASSED_OVER = "became dead letters", "led to events", "were passed over"


class Fates:
    """By where a record stood, what became of it. ``forged``: the hostile records, of which none is an answer."""

    def __init__(self, forged: Collection[Position]) -> None:
        self._forged = forged
        self._buried: set[str] = set()
        self._causes: set[str] = set()

    def take(self, raw: Raw) -> None:
        """Learn from one record of a dead letter topic or a log."""
        if Position(raw.topic, raw.partition, raw.offset) in self._forged:
            return
        if raw.topic in LETTERS:
            place = [raw.header(f"{ERRORS}{name}") for name in ("topic", "partition", "offset")]
            self._buried.add("-".join(map(str, place)))
        elif (cause := raw.header("cause")) is not None:
            self._causes.add(cause)

    def of(self, place: Position) -> str:
        """What became of the record at a place."""
        if str(place) in self._buried:
            return LETTER
        return EVENTS if str(place) in self._causes else PASSED_OVER

    def count(self, places: Iterable[Position]) -> Counter[str]:
        """How many records met each fate."""
        return Counter(self.of(place) for place in places)


def read(settings: Settings, forged: Collection[Position]) -> Fates:
    """The fates as far as the topics tell by now. Raises KafkaAway."""
    fates, topics = Fates(forged), Topics(settings)
    try:
        topics.read(topics.ends((*LETTERS, *WRITERS)), fates.take)
    finally:
        topics.close()
    return fates
