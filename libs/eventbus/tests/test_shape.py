"""The shape of what is stored: the same in every process, and another one for rows that read differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, NewType

import pytest
from typing_extensions import TypedDict

from eventbus import Table
from eventbus.state.shape import type_text


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    y: int
    x: int


class Page(TypedDict):
    title: str
    leaves: int


@dataclass
class Tree:
    leaves: int = 0
    branches: tuple[Tree, ...] = ()


@dataclass
class Plain:
    pass


@dataclass
class Many:
    colour: Colour = Colour.RED
    at: Point | None = None
    by_name: dict[str, list[int]] = field(default_factory=dict)
    rows: Table[Page] = field(default_factory=Table)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (None | str, "NoneType | str"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Literal["b", "a", 1], 'literal("a", "b", 1)'),
        (NewType("Name", str), "str"),
        (Any, "Any"),
        (Colour, 'enum("blue", "red")'),
        (Point, "(y: int, x: int)"),
        (Plain, "{}"),
        (Tree, "{branches: tuple[^1, ...], leaves: int}"),
        (
            Many,
            "{at: (y: int, x: int) | NoneType, by_name: dict[str, list[int]], "
            'colour: enum("blue", "red"), rows: Table[{leaves: int, title: str}]}',
        ),
    ],
)
def test_a_type_is_described_by_its_fields_at_any_depth(hint: Any, text: str) -> None:
    assert type_text(hint) == text
