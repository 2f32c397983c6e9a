"""POST /orders with an API key, beside the same without access control: what it costs to know the caller."""

from __future__ import annotations

import json

from bench.load import run
from bench.ours import Ours
from bench.result import Row
from bench.rows.post import ALONE, CONNECTIONS, ROOM, bursts, progress, rows
from bench.run import Run
from eventbus.access.api_keys import new_key

OTHER_KEYS = 1_000
"""Keys of other callers in the file."""


def post_with_key(bench: Run) -> list[Row]:
    """Throughput and p99 of POSTs over 64 connections with access control, while no other service runs."""
    key, line = new_key("bench", ["place", "price", "read"], None, None)
    file = bench.run_dir / "keys.jsonl"
    file.write_text("\n".join([line, *(_line_of_another(number) for number in range(OTHER_KEYS))]))
    on = Ours(bench.run_dir / "on", bench.python, env={**ROOM, "EVENTBUS_API_KEYS_FILE": str(file)})
    headers = {"Authorization": f"Bearer {key}"}
    with on, Ours(bench.run_dir / "off", bench.python, env=ROOM) as off:
        on.scale(**ALONE)
        off.scale(**ALONE)
        found = bench.pairs(
            "POST with a key",
            lambda seconds: run(
                bursts(on.system.order, seconds, decided=True, headers=headers), seconds * 10
            ),
            lambda seconds: run(bursts(off.system.order, seconds, decided=True), seconds * 10),
            progress,
        )
    what = f"POST /orders with an API key, {CONNECTIONS} connections"
    return rows("key", what, "without access control", found, (0.9, 1.2))


def _line_of_another(number: int) -> str:
    return json.dumps({"id": f"other-{number}", "sha256": f"{number:064x}", "scopes": ["read"]})
