"""All measurements by name, and which rows each makes: what ``ROWS=`` chooses from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from bench.parts.hop import hop
from bench.parts.payment import payment
from bench.parts.peers import FAUST, FLECHTWERK, QUIX
from bench.parts.rebuild import rebuild
from bench.parts.scale import scale
from bench.processes import NotMeasured
from bench.result import Row
from bench.rows.at_rate import at_rate
from bench.rows.cost import cost, cost_over_bare
from bench.rows.idle import idle
from bench.rows.invoices import invoices_against_base
from bench.rows.post import post
from bench.rows.post_idempotent import post_idempotent
from bench.rows.post_with_key import post_with_key
from bench.rows.sustained import sustained, sustained_against_base
from bench.run import Run


class Measurement(NamedTuple):
    """``measure`` makes one row that is named as this is, or several whose names begin with it and a hyphen."""

    name: str
    measure: Callable[[Run], list[Row]]
    by_default: bool = False
    """Whether it is measured if nothing is chosen."""
    against_base: bool = False
    """Whether it compares with another commit, and so needs one."""


ALL = (
    # first, before the services have done anything
    Measurement("idle", idle),
    Measurement("cpu-per-order", cost, by_default=True),
    Measurement("over-bare", cost_over_bare),
    Measurement("at-100", partial(at_rate, rate=100), by_default=True),
    Measurement("at-50", partial(at_rate, rate=50)),
    Measurement("at-20", partial(at_rate, rate=20)),
    Measurement("sustained", sustained),
    Measurement("post", post),
    Measurement("key", post_with_key),
    Measurement("idempotent", post_idempotent),
    Measurement("stateful-hop", hop),
    Measurement("quix-hop", QUIX.measure),
    Measurement("flechtwerk-hop", FLECHTWERK.measure),
    Measurement("faust-hop", FAUST.measure),
    Measurement("rebuild", rebuild),
    Measurement("payment-slow-gateway", payment),
    Measurement("scale", scale),
    Measurement("base-sustained", sustained_against_base, against_base=True),
    Measurement("base-invoices", invoices_against_base, against_base=True),
)


def choose(rows: Iterable[str], full: bool, base: bool) -> list[Measurement]:
    """The measurements that make these rows; without rows those of a short run, or all of them.

    Those that compare with a commit need ``base``; a short run with one holds them and nothing else. Raises
    NotMeasured for a row that nobody makes, or that needs a commit to compare with.
    """
    wanted = list(rows)
    if not wanted:
        return [
            one
            for one in ALL
            if (one.against_base and base) or (not one.against_base and _usual(one, full, base))
        ]
    chosen = [one for one in ALL if any(_makes(one, row) for row in wanted)]
    unknown = [row for row in wanted if not any(_makes(one, row) for one in ALL)]
    if unknown:
        known = ", ".join(one.name for one in ALL)
        raise NotMeasured(f"There is no row {', '.join(unknown)}. Rows are these, or begin so: {known}.")
    if lacking := [one.name for one in chosen if one.against_base and not base]:
        raise NotMeasured(f"{', '.join(lacking)} compares with a commit: name one with BASE=<commit>.")
    return chosen


def _usual(one: Measurement, full: bool, base: bool) -> bool:
    return full or (one.by_default and not base)


def _makes(one: Measurement, row: str) -> bool:
    return row == one.name or row.startswith(f"{one.name}-")


def only(rows: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Of the rows that were measured, those that were asked for."""
    return [
        row
        for row in rows
        if not wanted or any(row.name == w or row.name.startswith(f"{w}-") for w in wanted)
    ]
