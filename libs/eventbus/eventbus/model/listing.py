"""A listing: the keys of a decider, newest first, chosen by what their states say, and read in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from eventbus.model.places import LARGEST

S = TypeVar("S")


class Row(NamedTuple):
    """What a listing holds of one key: ``at`` in ms since epoch, and a value for each column, in their order."""

    at: int
    values: tuple[str, ...]


class Place(NamedTuple):
    """Where a key stands in its listing. Of two keys of one time the one whose name is greater is the newer."""

    at: int
    key: str


FRONT = Place(LARGEST, "")
"""Before every key of a listing."""
OLDEST = -LARGEST
"""Earlier than any time."""


@dataclass(frozen=True)
class Listing(Generic[S]):
    """A list of the keys of a decider, newest first: a row a key, which is made of its state.

    The list says of a key what its state says. A batch of events costs one write a key, whatever their number.
    Whatever is chosen is read in the order of an index, so the length of the list does not matter to a page of it.
    A key keeps its ``at`` for ever once it is listed. Its place never moves, so pages neither skip nor repeat a key
    while keys come and change.
    """

    table: str
    """Its name in SQLite."""
    columns: Mapping[str, Sequence[str]]
    """What keys are chosen by: each column with the values that it may have, or none if it may have any."""
    row: Callable[[S], Row | None]
    """The row of a state; None while the key is not listed yet."""
