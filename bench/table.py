"""The table of a run, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.result import Better, Row
from eventbus.visible import visible

HEAD = ("row", "ours", "reference", "ratio", "least to most", "goal", "")
VERDICTS = {True: "met", False: "NOT MET", None: ""}


def table(rows: Iterable[Row], about: Mapping[str, str]) -> str:
    """A heading that says what the run ran on, then a line a row; below it what each row compares."""
    rows = list(rows)
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = [f"{name + ':':<13}{text}" for name, text in about.items()]
    lines += [
        "",
        *("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells),
    ]
    lines += [
        "",
        "Ratios are medians over rounds in which both took turns; ours and reference are medians too.",
    ]
    for row in rows:
        lines += ["", f"{row.name}: {row.what}", f"  reference: {row.reference}"]
        lines += [f"  {name}: {value}" for name, value in row.details.items()]
    return "\n".join(visible(line.rstrip()) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    least, most = row.spread
    sign = "<=" if row.better is Better.LOWER else ">="
    goal = "" if row.goal is None else f"{sign} {row.goal:g}"
    ours, reference = (f"{figure(one)} {row.unit}" for one in (row.ours, row.theirs))
    spread = f"{figure(least)} to {figure(most)}"
    return (row.name, ours, reference, figure(row.ratio), spread, goal, VERDICTS[row.met])


def figure(value: float) -> str:
    """Three significant digits, and no more decimals than that takes."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
