"""Sets records aside as an operator does with ``eventbus skip``, many at once and without asking."""

from __future__ import annotations

from collections.abc import Iterable

from eventbus.cli.skip import write_skip
from eventbus.cli.writer import CommandWriter
from eventbus.codec import Codec
from eventbus.model.places import Position
from eventbus.settings import Settings


def set_aside(settings: Settings, places: Iterable[Position], reason: str) -> None:
    """Skip all these records. Raises CommandError if Kafka is away."""
    writer = CommandWriter(settings, Codec("schemas"))
    for place in places:
        write_skip(writer, place, reason)
