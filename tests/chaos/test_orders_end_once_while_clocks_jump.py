"""The clock of a replica jumps an hour ahead and an hour back: orders may expire early or late, never twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import more_settle, under_load
from verification.chaos.cluster import Placement

HOUR = 3600
JUMPS = {
    "order-0": (HOUR, -HOUR),
    "order-1": (-HOUR, 0),
    "payment-0": (-HOUR, HOUR),
    "inventory-0": (HOUR, -HOUR),
}


def test_an_order_ends_once_though_clocks_jump(open_cluster: OpenCluster, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.skew" for name in JUMPS}
    placements = {
        name: Placement(env={"SKEW_FILE": str(file)}, module="tests.chaos.skewed")
        for name, file in files.items()
    }
    chaos = open_cluster({"order": 2}, placements)
    with under_load(chaos) as load:
        for jump in (0, 1):
            for name, jumps in JUMPS.items():
                _set(files[name], jumps[jump])
                time.sleep(1.0)
            more_settle(load, 30, timeout=60)
        for file in files.values():
            _set(file, 0)
        more_settle(load, 20)


def _set(file: Path, seconds: float) -> None:
    """In one step: a service may read at any moment."""
    draft = file.with_suffix(".new")
    draft.write_text(str(seconds))
    os.replace(draft, file)
