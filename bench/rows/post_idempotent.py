"""POST /orders with an Idempotency-Key, beside the bare app: what it costs to answer once an order is decided."""

from __future__ import annotations

from bench.bare_app import BareApp
from bench.load import run
from bench.ours import Ours
from bench.result import Better, Round, Row
from bench.rows.post import ALONE, CONNECTIONS, bursts
from bench.run import Run


def post_idempotent(bench: Run) -> list[Row]:
    """Throughput and p99 of POSTs over 64 connections, each with a key of its own, while no other service runs."""
    with Ours(bench.run_dir / "keyed", bench.python) as order, BareApp(bench) as app:
        order.scale(**ALONE)
        found = bench.pairs(
            "POST with an Idempotency-Key",
            lambda seconds: run(bursts(order.system.order, seconds, decided=True, keyed=True), seconds * 10),
            lambda seconds: run(bursts(app.url, seconds, decided=False), seconds * 10),
            lambda ours, bare: (
                f"{ours.rate:.0f} / {bare.rate:.0f} a second, p99 {ours.ms(0.99):.0f} / {bare.ms(0.99):.0f} ms"
            ),
        )
    what = f"POST /orders with an Idempotency-Key, {CONNECTIONS} connections, order service alone"
    rates = [Round(ours.rate, bare.rate) for ours, bare in found]
    tails = [Round(ours.ms(0.99), bare.ms(0.99)) for ours, bare in found]
    return [
        Row("idempotent-rate", f"{what}, answers a second", "/s", Better.HIGHER, "the bare app", None, rates),
        Row("idempotent-p99", f"{what}, p99", "ms", Better.LOWER, "the bare app", None, tails),
    ]
