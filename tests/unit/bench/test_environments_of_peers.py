"""A peer's environment is made with a Python that is new enough, from a lock with hashes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.parts.peers import FAUST, FLECHTWERK, QUIX, Peer
from bench.peers.environment import PEERS, interpreter
from bench.processes import NotMeasured


def test_this_python_serves_where_it_is_new_enough() -> None:
    assert interpreter((3, 11)) == sys.executable


def test_a_newer_python_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, works = tmp_path / "python3.98", tmp_path / "python3.97"
    broken.write_text("#!/bin/sh\nexit 127\n")
    works.write_text("#!/bin/sh\nexit 0\n")
    for file in (broken, works):
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("bench.peers.environment.NEWEST", 99)
    assert interpreter((3, 97)) == str(works)
    with pytest.raises(NotMeasured, match=r"Python 3\.98 or newer was not found"):
        interpreter((3, 98))


@pytest.mark.parametrize("peer", [QUIX, FLECHTWERK, FAUST], ids=lambda peer: peer.name)
def test_a_lock_has_hashes_of_all_and_names_no_registry(peer: Peer) -> None:
    lock = (PEERS / peer.name / "requirements.txt").read_text()
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert peer.package in {line.split("==")[0] for line in pinned}
    assert all(line.endswith("\\") for line in pinned)
    assert "://" not in lock
