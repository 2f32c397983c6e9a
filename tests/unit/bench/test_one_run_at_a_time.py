"""A run of the bench owns its folder, and what another one left behind there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from bench.alone import MARK, alone_in, end_all
from bench.processes import NotMeasured


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with alone_in(tmp_path / "bench"):
        with pytest.raises(NotMeasured, match="another run measures"), alone_in(tmp_path / "bench"):
            raise AssertionError("it was let in")
    with alone_in(tmp_path / "bench"):
        pass


def test_only_processes_of_the_same_folder_are_taken_for_left_behind(tmp_path: Path) -> None:
    other = {**os.environ, MARK: str(tmp_path / "bench-2")}
    with subprocess.Popen(["sleep", "60"], env=other) as stranger:
        with subprocess.Popen(["sleep", "60"], env={**other, MARK: str(tmp_path / "bench")}) as mine:
            end_all(tmp_path / "bench")
            assert mine.wait(10) == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.kill()
