"""State is for the user of its service alone, also where an older version left it open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.private import close_to_others
from eventbus.service.slot import Slot
from eventbus.state.store import Store


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """As a login shell has it: what is not asked for is open to be read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> dict[str, str]:
    """What below a directory somebody else may read, with its mode."""
    found = (directory, *directory.rglob("*"))
    return {str(path): oct(path.stat().st_mode) for path in found if path.stat().st_mode & 0o077}


def opened(directory: Path) -> Store:
    store = Store(directory / "state.sqlite", [])
    store.db.execute("CREATE TABLE IF NOT EXISTS x (y)")
    return store


def test_a_state_directory_and_its_database_are_closed_to_others(tmp_path: Path) -> None:
    slot = Slot(tmp_path / "state", "parcel", None)
    store = opened(slot.directory)

    assert {p.name for p in slot.directory.iterdir()} >= {"lock", "state.sqlite", "state.sqlite-wal"}
    assert open_to_others(slot.directory) == {}
    store.close()
    slot.release()


def test_what_an_older_version_left_open_is_closed_at_the_start(tmp_path: Path) -> None:
    old = tmp_path / "parcel-0"
    old.mkdir(mode=0o755)
    for name in ("lock", "state.sqlite", "state.sqlite-wal"):
        (old / name).touch(0o644)
    assert len(open_to_others(old)) == 4

    slot = Slot(tmp_path, "parcel", 0)

    assert open_to_others(old) == {}
    slot.release()


def test_only_what_is_the_slots_is_closed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(0o644)
    old = tmp_path / "state" / "parcel-0"
    old.mkdir(parents=True)
    (old / "link").symlink_to(elsewhere)

    Slot(tmp_path / "state", "parcel", 0).release()

    assert elsewhere.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o755


def test_what_goes_away_meanwhile_does_not_matter(tmp_path: Path) -> None:
    close_to_others(tmp_path / "nothing")


def test_a_service_writes_for_its_user_alone(tmp_path: Path) -> None:
    script = "from eventbus.private import write_privately as w; w(); open('made', 'w'); import os; os.mkdir('dir')"

    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)

    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "dir").stat().st_mode & 0o777 == 0o700
