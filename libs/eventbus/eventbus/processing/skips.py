"""Skips: what operators set aside. The state of a service is a fold of its own logs without the records skipped.

They stand in one compacted topic for all services, kept for ever, in its only partition. A record's key is the
coordinates of the record that is set aside, its value a :class:`~eventbus.admin.Skip`; one without a value takes the
skip back. Every replica reads them all before it folds anything.
"""

from __future__ import annotations

from eventbus.admin import Skip
from eventbus.codec import Codec
from eventbus.model.errors import Poison, UnknownSchema
from eventbus.model.places import Position
from eventbus.model.record import Raw

TOPIC = "eventbus.skips"
PARTITION = 0


class Skips:
    """The records set aside, as far as the topic was read."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._reasons: dict[Position, str] = {}

    def __contains__(self, place: object) -> bool:
        return place in self._reasons

    def places(self) -> set[Position]:
        """The positions of the records that are set aside."""
        return set(self._reasons)

    def reason(self, place: Position) -> str:
        """Why a record is set aside; empty if it is not."""
        return self._reasons.get(place, "")

    def take(self, record: Raw) -> Position | None:
        """Fold one record. Returns the position that is now skipped, or no longer. Raises Poison if it is no skip."""
        try:
            place = Position.parse((record.key or b"").decode())
        except ValueError as error:
            raise Poison(f"its key is no topic-partition-offset: {error}") from error
        if record.value is None:
            return place if self._reasons.pop(place, None) is not None else None
        news = place not in self._reasons
        self._reasons[place] = self._reason(record)
        return place if news else None

    def _reason(self, record: Raw) -> str:
        try:
            skip = self._codec.decode(record).message
        except UnknownSchema as error:
            # Newer code wrote it. What is skipped stands in the key, so nothing else of it is needed.
            return f"its reason cannot be read: {error}"
        if not isinstance(skip, Skip):
            raise Poison(f"{record.topic} takes no {skip.name}")
        return skip.reason
