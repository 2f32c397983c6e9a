"""POST /orders with an API key, beside the same without access control: what it costs to know the caller."""

from __future__ import annotations

import json

from bench.load import run
from bench.ours import Ours
from bench.result import Better, Round, Row
from bench.rows.post import ALONE, CONNECTIONS, bursts
from bench.run import Run
from eventbus.access.api_keys import new_key

OTHER_KEYS = 1_000
"""Keys of other callers in the file."""


def post_with_key(bench: Run) -> list[Row]:
    """Throughput and p99 of POSTs over 64 connections with access control, while no other service runs."""
    key, line = new_key("bench", ["place", "price", "read"], None, None)
    file = bench.run_dir / "keys.jsonl"
    file.write_text("\n".join([line, *(_line_of_another(number) for number in range(OTHER_KEYS))]))
    on = Ours(bench.run_dir / "on", bench.python, env={"EVENTBUS_API_KEYS_FILE": str(file)})
    headers = {"Authorization": f"Bearer {key}"}
    with on, Ours(bench.run_dir / "off", bench.python) as off:
        on.scale(**ALONE)
        off.scale(**ALONE)
        found = bench.pairs(
            "POST with a key",
            lambda seconds: run(
                bursts(on.system.order, seconds, decided=True, headers=headers), seconds * 10
            ),
            lambda seconds: run(bursts(off.system.order, seconds, decided=True), seconds * 10),
            lambda ours, bare: (
                f"{ours.rate:.0f} / {bare.rate:.0f} a second, p99 {ours.ms(0.99):.0f} / {bare.ms(0.99):.0f} ms"
            ),
        )
    what, other = f"POST /orders with an API key, {CONNECTIONS} connections", "without access control"
    rates = [Round(with_key.rate, without.rate) for with_key, without in found]
    tails = [Round(with_key.ms(0.99), without.ms(0.99)) for with_key, without in found]
    return [
        Row("key-rate", f"{what}, answers a second", "/s", Better.HIGHER, other, 0.9, rates),
        Row("key-p99", f"{what}, p99", "ms", Better.LOWER, other, 1.2, tails),
    ]


def _line_of_another(number: int) -> str:
    return json.dumps({"id": f"other-{number}", "sha256": f"{number:064x}", "scopes": ["read"]})
