"""Orders by the clock, beside records through a chain of bare exactly-once hops at the same rate."""

from __future__ import annotations

from typing import Any

from bench.chain import HOPS, Chain
from bench.load import Measured, closed_loop, open_loop, run
from bench.ours import Ours
from bench.result import Better, Round, Row
from bench.rows.cost import settle
from bench.run import PARTITIONS, REPLICATION, Run
from bench.shop import confirmed_orders

COST_AT = 100
"""The rate, a second, at which CPU is compared too."""
MANY = 2_000
"""Records in a chain at a time, so that its batches are large."""
FEW = 32
"""Orders or records under way, so that transactions are small and many: the broker's code is compiled sooner."""
WARM_UPS = 2
"""Windows for which that goes on before a rate is measured: until then latencies still fall, on both sides."""


def at_rate(bench: Run, rate: int) -> list[Row]:
    """Latency from POST to CONFIRMED at ``rate`` orders a second; at 100 also the CPU of an order."""
    stack = bench.ours
    with Chain(bench.kafka.bootstrap_servers, bench.run_dir / "logs", PARTITIONS, REPLICATION) as chain:
        pids = {**chain.pids, "broker": bench.broker}

        def ours(seconds: float) -> Measured:
            return run(_ours(stack, bench.warm, rate, seconds), bench.warm + seconds)

        def bare(seconds: float) -> Measured:
            return run(_bare(chain, pids, bench.warm, rate, seconds), bench.warm + seconds)

        settle(stack, FEW, 0.0, WARM_UPS * bench.seconds)
        _closed(chain, pids, FEW, WARM_UPS * bench.seconds)
        share = _closed(chain, pids, MANY, bench.seconds / 2).rate * HOPS / bench.raw_produce
        details = {"reference's share of raw produce, batches large": round(share, 3)}
        found = bench.pairs(f"{rate}/s", ours, bare, _show)
    what, hops = f"POST to CONFIRMED at {rate} orders/s", f"{HOPS} bare exactly-once hops at the same rate"
    rows = [
        Row(
            f"at-{rate}-{name}",
            f"{what}, {name}",
            "ms",
            Better.LOWER,
            hops,
            goal,
            [Round(mine.ms(share), other.ms(share)) for mine, other in found],
            details,
        )
        for name, share, goal in (("p50", 0.5, 3.0), ("p99", 0.99, 4.0))
    ]
    if rate == COST_AT:
        rows.insert(0, _cost(found, hops, details))
    return rows


def _closed(chain: Chain, pids: dict[str, int], in_flight: int, seconds: float) -> Measured:
    """The chain with so many records under way."""

    async def load() -> Measured:
        with chain.passages() as do:
            return await closed_loop(in_flight, 0.0, seconds, do, pids)

    return run(load(), seconds)


def _cost(found: list[tuple[Measured, Measured]], hops: str, details: dict[str, Any]) -> Row:
    mine, other = found[-1]
    return Row(
        f"at-{COST_AT}-cpu",
        f"CPU per one-item order, all services, simulator and broker, at {COST_AT} orders/s",
        "ms",
        Better.LOWER,
        hops,
        1.0,
        [Round(ours.cost, bare.cost) for ours, bare in found],
        {"ms by process": mine.costs, "reference's ms by process": other.costs, **details},
    )


def _show(ours: Measured, bare: Measured) -> str:
    latencies = [f"{one.ms(0.5):.0f} and {one.ms(0.99):.0f}" for one in (ours, bare)]
    return f"p50 and p99 {latencies[0]} / {latencies[1]} ms, CPU {ours.cost:.2f} / {bare.cost:.2f} ms"


async def _ours(stack: Ours, warm: float, rate: float, seconds: float) -> Measured:
    async with confirmed_orders(stack.system) as do:
        return await open_loop(rate, warm, seconds, do, stack.pids)


async def _bare(chain: Chain, pids: dict[str, int], warm: float, rate: float, seconds: float) -> Measured:
    with chain.passages() as do:
        return await open_loop(rate, warm, seconds, do, pids)
