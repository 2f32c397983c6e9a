"""What no change may make much worse: ratios with wide bounds, for a machine on which other things run too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.result import Better, Row

BOUNDS: Mapping[str, float] = {
    "cpu-per-order": 25.0,
    "at-100-cpu": 2.5,
}
"""By row, the ratio that its best round must reach: at most that where lower is better, else at least that.

The goals of the table are tighter. What else runs on the machine slows ours and the reference alike, and rarely one
of them in each round, so the best round is judged. A machine that runs little else measures 12 and 1; the bounds lie
far above."""


def broken(rows: Iterable[Row], bounds: Mapping[str, float] = BOUNDS) -> list[str]:
    """A sentence for each bound that a row misses in all its rounds, or that no row was measured for."""
    measured = {row.name: row for row in rows}
    said = [f"{name} was not measured." for name in bounds if name not in measured]
    for name, bound in bounds.items():
        if (row := measured.get(name)) and not within(row, bound):
            least, most = row.spread
            side = "above" if row.better is Better.LOWER else "below"
            said.append(f"{name}: each round was {side} {bound:g} ({least:.2f} to {most:.2f}).")
    return said


def within(row: Row, bound: float) -> bool:
    """Whether the row's best round reaches the bound."""
    least, most = row.spread
    return least <= bound if row.better is Better.LOWER else most >= bound
