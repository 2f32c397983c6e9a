"""Real invoices of many items, beside the same of another commit."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from itertools import count

from bench.load import run
from bench.ours import Ours
from bench.processes import NotMeasured
from bench.result import Better, Round, Row
from bench.run import Run
from tools.demo.invoices import load
from tools.demo.sending import Way, send_invoices
from tools.demo.tally import Speed

IN_FLIGHT = 64
LONGEST = 600.0
"""Seconds for one run through all invoices."""


def invoices_against_base(bench: Run) -> list[Row]:
    """Items a second, from the first POST until all invoices of ``DATA=`` have settled."""
    invoices, runs = load(bench.data), count()

    def send(ours: Ours) -> Speed:
        way = Way(f"bench-{next(runs)}", IN_FLIGHT, "tok_ok", patience=60.0)
        with redirect_stdout(sys.stderr):
            tally = run(send_invoices(ours.system, invoices, bench.data.name, way), LONGEST)
        speed = tally.speed()
        if tally.open() or speed is None:
            raise NotMeasured(f"{len(tally.open())} invoices of {bench.data} did not settle.")
        return speed

    stack, base = bench.ours, bench.theirs
    found = bench.pairs(
        "invoices, against the commit",
        lambda _: send(stack),
        lambda _: send(base),
        lambda ours, other: f"{rate(ours):.0f} / {rate(other):.0f} items/s",
    )
    row = Row(
        "base-invoices",
        f"items of {len(invoices):,} real invoices ({bench.data.name}) to settled, {IN_FLIGHT} requests at a time",
        "/s",
        Better.HIGHER,
        "the same of the commit named by BASE",
        2.0,
        [Round(rate(ours), rate(other)) for ours, other in found],
    )
    return [row]


def rate(speed: Speed) -> float:
    """Items a second."""
    return speed.items / speed.seconds
