"""POST /orders with an Idempotency-Key, beside the bare app: what it costs to answer once an order is decided."""

from __future__ import annotations

from bench.bare_app import BareApp
from bench.load import run
from bench.ours import Ours
from bench.result import Row
from bench.rows.post import ALONE, CONNECTIONS, ROOM, bursts, progress, rows
from bench.run import Run


def post_idempotent(bench: Run) -> list[Row]:
    """Throughput and p99 of POSTs over 64 connections, each with a key of its own, while no other service runs."""
    with Ours(bench.run_dir / "keyed", bench.python, env=ROOM) as order, BareApp(bench) as app:
        order.scale(**ALONE)
        found = bench.pairs(
            "POST with an Idempotency-Key",
            lambda seconds: run(bursts(order.system.order, seconds, decided=True, keyed=True), seconds * 10),
            lambda seconds: run(bursts(app.url, seconds, decided=False), seconds * 10),
            progress,
        )
    what = f"POST /orders with an Idempotency-Key, {CONNECTIONS} connections, order service alone"
    return rows("idempotent", what, "the bare app", found, (None, None))
