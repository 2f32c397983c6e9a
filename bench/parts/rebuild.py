"""The state of the order service, rebuilt from its log by a replica that has none, beside a bare read of that log."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass

from bench import cpu
from bench.parts.generated import PATIENCE, Generated, plan
from bench.processes import LOOK, NotMeasured
from bench.result import Better, Round, Row
from bench.run import Run
from tools.stack.ports import free_port
from tools.stack.settings import ROOT

LOG = "order.events"
ORDERS_PER_SECOND = 1_000
"""Orders that are generated for each second of a window; each has four events."""


@dataclass(frozen=True)
class Rate:
    """Records in a second, and CPU (µs) of the process for each."""

    records: float
    cpu: float


def rebuild(bench: Run) -> list[Row]:
    """Events folded in a second, of those read and decoded in a second by a bare program."""
    system = Generated(bench)
    events = system.fill(plan(round(ORDERS_PER_SECOND * bench.seconds)))[LOG]
    found = bench.pairs(
        "rebuild",
        lambda _: rebuilt(system, events),
        lambda _: read(system),
        lambda mine, other: f"{mine.records:.0f} / {other.records:.0f} events/s",
    )
    row = Row(
        "rebuild",
        "events of the order log folded by a replica without state",
        "events/s",
        Better.HIGHER,
        "bare read and decode of the same log",
        0.4,
        [Round(mine.records, other.records) for mine, other in found],
        {
            "events": events,
            "CPU µs an event": found[-1][0].cpu,
            "reference's CPU µs an event": found[-1][1].cpu,
        },
    )
    return [row]


def rebuilt(system: Generated, events: int) -> Rate:
    """Start the service without state, and watch the offsets up to which its store is folded."""
    shutil.rmtree(system.folder / "state", ignore_errors=True)
    with system.service("order", free_port()) as process:
        began: tuple[float, int, float] | None = None
        deadline = time.monotonic() + PATIENCE
        while True:
            process.check()
            folded = _folded(system)
            now, used = time.monotonic(), cpu.seconds({"order": process.pid})["order"]
            if folded and began is None:
                began = now, folded, used
            if folded >= events and began:
                break
            if now > deadline:
                raise NotMeasured(f"order has folded {folded} of {events} events in {PATIENCE:.0f} s")
            time.sleep(LOOK)
    first, before, spent = began
    if now == first:
        raise NotMeasured(f"{events} events are too few to measure a rebuild")
    count = events - before
    return Rate(count / (now - first), round((used - spent) * 1e6 / count, 1))


def _folded(system: Generated) -> int:
    """How many records of the log the store holds, by its checkpoints. Generated logs hold nothing but events."""
    path = system.folder / "state" / "order-0" / "state.sqlite"
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    except sqlite3.OperationalError:
        return 0  # it is not there yet
    try:
        (count,) = db.execute("SELECT total(next) FROM checkpoints WHERE log = ?", (LOG,)).fetchone()
        return int(count)
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def read(system: Generated) -> Rate:
    """The bare program of ``bench.bare.read``."""
    settings = system.settings
    command = [sys.executable, "-m", "bench.bare.read", "--servers", settings.bootstrap_servers]
    command += ["--prefix", settings.topic_prefix, "--topic", LOG]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise NotMeasured(f"bench.bare.read failed: {done.stderr.strip()[-500:]}")
    said = json.loads(done.stdout)
    return Rate(said["records"] / said["seconds"], round(said["cpu"] * 1e6 / said["records"], 1))
