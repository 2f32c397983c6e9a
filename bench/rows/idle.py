"""What the services cost when nothing is asked of them."""

from __future__ import annotations

import time

from bench import cpu
from bench.result import Better, Round, Row
from bench.run import Run

ALLOWED = 1.0
"""Percent of a core, of each service."""
SETTLE = 5.0
"""Seconds after the start that do not count."""


def idle(bench: Run) -> list[Row]:
    """CPU of the busiest service, in percent of a core, while no order comes."""
    pids = {name: pid for name, pid in bench.ours.pids.items() if name != "kafka"}
    time.sleep(SETTLE)
    rounds: list[dict[str, float]] = []
    for number in range(bench.rounds):
        began, before = time.monotonic(), cpu.seconds(pids)
        time.sleep(bench.seconds)
        used, seconds = cpu.between(before, cpu.seconds(pids)), time.monotonic() - began
        rounds.append({name: round(100 * spent / seconds, 2) for name, spent in used.items()})
        bench.say(f"idle, round {number + 1}: {rounds[-1]} % of a core")
    row = Row(
        "idle",
        "CPU of the busiest service while no order comes",
        "% of a core",
        Better.LOWER,
        "1 % of a core",
        1.0,
        [Round(max(one.values()), ALLOWED) for one in rounds],
        {"% of a core by process": rounds[-1]},
    )
    return [row]
