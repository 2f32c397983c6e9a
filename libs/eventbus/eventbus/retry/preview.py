"""What becomes of messages that are redriven or discarded: one definition, for the dry run and for the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from eventbus.retry.parked import Parked, State


class Effect(StrEnum):
    """Each message gets exactly one."""

    APPLIES = "applies"
    """It leads to events."""
    DUPLICATE = "duplicate"
    """It was answered before: no event, or one named ``…Repeated``."""
    REFUSED = "no longer legal"
    """An event named ``…Refused``, or it is poison."""
    CALLS = "calls outside"
    """The outside is called. The result cannot be known beforehand."""
    DEPENDS = "after a call"
    """It stands behind one that asks the outside."""
    FAILS = "fails"
    """The rule raises an exception, or its schema is still not known here: it is a dead letter again."""
    STAYS = "stays"
    """It stays parked behind one that failed."""
    DISCARDED = "discarded"


@dataclass(frozen=True)
class Preview:
    """One message: how it waits (or waited before), how it stands after that, and the effect on it."""

    before: Parked
    after: Parked
    effect: Effect


def previews(queue: Sequence[Parked], after: Mapping[str, Parked]) -> list[Preview]:
    """What becomes of the messages of one key.

    ``queue`` is what waited, oldest first; ``after`` holds, by coordinates, the messages about
    which a record was written, as they are then, even if nothing changed.
    """
    found: list[Preview] = []
    changed = any(p.raw.coordinates in after for p in queue)
    rest = None if changed else Effect.STAYS
    for parked in queue:
        stands = after.get(parked.raw.coordinates, parked)
        effect = rest or _effect(stands)
        found.append(Preview(parked, stands, effect))
        if rest is None and effect is Effect.CALLS:
            rest = Effect.DEPENDS
        elif rest is None and stands.state.open:
            rest = Effect.STAYS
    return found


def _effect(stands: Parked) -> Effect:
    """The effect on a message that has no open message before it."""
    if stands.state is State.DISCARDED:
        return Effect.DISCARDED
    # Whatever is decided without a call is over, or dead, in the transaction in which its turn came.
    if stands.called or (stands.state.open and stands.state is not State.DEAD):
        return Effect.CALLS
    if stands.state is State.DEAD:
        return Effect.REFUSED if stands.exception == "Poison" else Effect.FAILS
    if all(name.endswith("Repeated") for name in stands.events):
        return Effect.DUPLICATE
    return Effect.REFUSED if any(name.endswith("Refused") for name in stands.events) else Effect.APPLIES
