"""Sets records aside as an operator does with ``eventbus skip``, many at once and without a question."""

from __future__ import annotations

from collections.abc import Iterable

from eventbus.cli.reader import TopicReader
from eventbus.cli.skip import put_on_record
from eventbus.codec import Codec
from eventbus.model.places import Position
from eventbus.settings import Settings


def set_aside(settings: Settings, places: Iterable[Position], reason: str) -> None:
    """Skip all these records. Raises Trouble if Kafka is away."""
    codec = Codec("schemas")
    topics = TopicReader(settings, codec)
    for place in places:
        put_on_record(topics, codec, place, reason, undo=False)
