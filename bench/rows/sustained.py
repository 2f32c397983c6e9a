"""The highest rate of orders, beside the highest rate of bare hops, and beside that of another commit."""

from __future__ import annotations

from bench.chain import HOPS, Chain
from bench.load import Measured, closed_loop, run
from bench.result import Better, Round, Row
from bench.rows.cost import settle
from bench.run import PARTITIONS, REPLICATION, Run

CLIENTS = 256
"""That post and wait: as many orders are under way. More would be refused before they are served faster."""
IN_FLIGHT = (250, 500, 1000, 2000, 4000)
"""Records in a chain at a time, of which the one with the highest rate is taken whose p99 is within a second."""


def sustained(bench: Run) -> list[Row]:
    """Orders a second to CONFIRMED, nothing refused; records a second through a chain of bare hops."""
    stack = bench.ours
    with Chain(bench.kafka.bootstrap_servers, bench.run_dir / "logs", PARTITIONS, REPLICATION) as chain:
        pids = {**chain.pids, "broker": bench.broker}

        def bare(seconds: float, in_flight: int) -> Measured:
            async def load() -> Measured:
                with chain.passages() as do:
                    return await closed_loop(in_flight, bench.warm, seconds, do, pids)

            return run(load(), bench.warm + seconds)

        best, most = IN_FLIGHT[0], 0.0
        for in_flight in IN_FLIGHT:
            tried = bare(bench.seconds / 2, in_flight)
            bench.say(f"{in_flight} in the chain: {tried.rate:.0f}/s, p99 {tried.ms(0.99):.0f} ms")
            if tried.ms(0.99) <= 1000 and tried.rate > most:
                best, most = in_flight, tried.rate
        found = bench.pairs(
            "sustained",
            lambda seconds: settle(stack, CLIENTS, bench.warm, seconds),
            lambda seconds: bare(seconds, best),
            _show,
        )
    share = found[-1][1].rate * HOPS / bench.raw_produce
    row = Row(
        "sustained",
        f"one-item orders to CONFIRMED, {CLIENTS} under way, nothing refused",
        "/s",
        Better.HIGHER,
        f"records through {HOPS} bare exactly-once hops, {best} under way: the highest rate with p99 within 1 s",
        None,
        [Round(mine.rate, other.rate) for mine, other in found],
        {
            "p99, ms": [round(mine.ms(0.99)) for mine, _ in found],
            "reference's p99, ms": [round(other.ms(0.99)) for _, other in found],
            f"reference's share of raw produce ({HOPS} records each)": round(share, 3),
        },
    )
    return [row]


def sustained_against_base(bench: Run) -> list[Row]:
    """The same, of this tree and of the commit to compare with."""
    stack, base = bench.ours, bench.theirs
    found = bench.pairs(
        "sustained, against the commit",
        lambda seconds: settle(stack, CLIENTS, bench.warm, seconds),
        lambda seconds: settle(base, CLIENTS, bench.warm, seconds),
        _show,
    )
    row = Row(
        "base-sustained",
        f"one-item orders to CONFIRMED, {CLIENTS} under way, nothing refused",
        "/s",
        Better.HIGHER,
        "the same of the commit named by BASE",
        2.0,
        [Round(mine.rate, other.rate) for mine, other in found],
        {
            "CPU an order, ms": [round(mine.cost, 2) for mine, _ in found],
            "CPU an order then, ms": [round(other.cost, 2) for _, other in found],
        },
    )
    return [row]


def _show(ours: Measured, other: Measured) -> str:
    return f"{ours.rate:.0f} / {other.rate:.0f} a second, p99 {ours.ms(0.99):.0f} / {other.ms(0.99):.0f} ms"
