"""What a measurement gives: rows of paired rounds, their ratios, and JSON of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import isfinite
from statistics import median
from typing import Any, NamedTuple


class Better(StrEnum):
    """Which figures are the better ones: ``lower`` of times and costs, ``higher`` of rates."""

    LOWER = "lower"
    HIGHER = "higher"


class Round(NamedTuple):
    """Two figures in the row's unit, measured one right after the other."""

    ours: float
    reference: float

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the reference."""
        return self.ours / self.reference


@dataclass(frozen=True)
class Row:
    """One comparison: this project and its reference, by turns, in rounds.

    ``goal`` is a ratio of ours to the reference: at least that where higher is better, at most that where lower is;
    None: the row only reports. ``details`` tells more, by name: how a reference compares with raw produce or decode,
    what else was measured. Raises ValueError for a row without rounds, or with figures that give no ratio.
    """

    name: str
    """Words joined by hyphens, for ``ROWS=``: ``cpu-per-order``."""
    what: str
    """What is measured, for people."""
    unit: str
    better: Better
    reference: str
    """What the reference is, for people."""
    goal: float | None
    rounds: Sequence[Round]
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rounds:
            raise ValueError(f"row {self.name} has no rounds")
        for one in self.rounds:
            if not (isfinite(one.ours) and isfinite(one.reference) and one.reference > 0):
                raise ValueError(f"row {self.name} has a round without a ratio: {one.ours}, {one.reference}")

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(one.ratio for one in self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest of the rounds' ratios."""
        ratios = [one.ratio for one in self.rounds]
        return min(ratios), max(ratios)

    @property
    def ours(self) -> float:
        """The median of our figures."""
        return median(one.ours for one in self.rounds)

    @property
    def theirs(self) -> float:
        """The median of the reference's figures."""
        return median(one.reference for one in self.rounds)

    @property
    def met(self) -> bool | None:
        """Whether the median ratio reaches the goal; None without one."""
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.better is Better.LOWER else self.ratio >= self.goal


def as_json(rows: Iterable[Row], **about: Any) -> str:
    """``{"rows": [...], ...about}``: what a program of ``bench.parts`` prints, and what a run keeps."""
    found = [
        {
            **asdict(row),
            "rounds": [list(one) for one in row.rounds],
            "ratio": round(row.ratio, 3),
            "spread": [round(ratio, 3) for ratio in row.spread],
            "met": row.met,
        }
        for row in rows
    ]
    return json.dumps({**about, "rows": found}, indent=2)


def from_json(text: str) -> list[Row]:
    """The rows of :func:`as_json`. Raises ValueError if the text is something else."""
    try:
        return [_row(one) for one in json.loads(text)["rows"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no rows as bench.result writes them ({error!r}): {text[:200]}") from error


def _row(one: dict[str, Any]) -> Row:
    return Row(
        name=one["name"],
        what=one["what"],
        unit=one["unit"],
        better=Better(one["better"]),
        reference=one["reference"],
        goal=one["goal"],
        rounds=[Round(*pair) for pair in one["rounds"]],
        details=one["details"],
    )
