"""The disk of a replica's state is full: it ends, the other goes on, and it comes back when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import are_back, more_settle, others_lead, under_load
from verification.chaos.cluster import Placement


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two services and their write-ahead logs. Skips where none may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted only by root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "chaos", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave not one byte; returns the file to delete."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return filler


def test_the_other_replica_goes_on_while_a_disk_is_full(open_cluster: OpenCluster, small_disk: Path) -> None:
    services = ("order", "inventory")
    own = Placement(env={"EVENTBUS_STATE_DIR": str(small_disk)})
    chaos = open_cluster(dict.fromkeys(services, 2), {f"{service}-1": own for service in services})
    with under_load(chaos) as load:
        filler = fill(small_disk)
        others_lead(chaos, services)
        more_settle(load)
        filler.unlink()
        are_back(chaos, services)
        more_settle(load)
