"""The disk of a replica's state is full: it ends, the other goes on, and it comes back when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.conftest import OpenSite
from tests.chaos.trial import are_back, load, more_settle, others_lead
from verification.chaos.site import Placement


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


def test_the_disk_of_the_state_is_full(open_site: OpenSite, small_disk: Path) -> None:
    services = ("order", "inventory")
    own = Placement(env={"EVENTBUS_STATE_DIR": str(small_disk)})
    site = open_site(dict.fromkeys(services, 2), {f"{service}-1": own for service in services})
    with load(site) as shopping:
        filler = fill(small_disk)
        others_lead(site, services)
        more_settle(shopping)
        filler.unlink()
        are_back(site, services)
        more_settle(shopping)
