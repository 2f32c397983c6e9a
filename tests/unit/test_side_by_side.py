"""All tests in several processes: what stays together does, both ends are begun with, and nothing is left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.side_by_side import part_of
from tools.stack.settings import ROOT


@pytest.mark.parametrize(
    ("nodeid", "part"),
    [
        ("tests/unit/test_stack.py::test_it[docker-1]", "tests/unit/test_stack.py"),
        ("tests/integration/test_wheel.py::test_it", "tests/integration/test_wheel.py"),
        ("tests/chaos/test_a_zombie_writes_nothing.py::test_it", "chaos"),
        ("tests/e2e/test_stock_calls.py::test_it[local]", "e2e"),
        ("tests/e2e/test_the_audit_is_clean_after_all_tests.py::test_it[local]", "e2e"),
        ("tests/e2e/test_stock_calls.py::test_it[docker]", "e2e on docker"),
        ("tests/e2e/test_stock_calls.py::test_it[docker-2]", "e2e on docker"),
        ("tests/e2e/test_containers.py::test_it", "e2e on docker"),
        (
            "tests/e2e/test_documented_commands_work.py::test_it[README.md:1]",
            "tests/e2e/test_documented_commands_work.py",
        ),
    ],
)
def test_what_shares_a_system_stays_together(nodeid: str, part: str) -> None:
    assert part_of(nodeid) == part


TEST = """
import os, subprocess
from pathlib import Path

def test_it(tmp_path_factory):
    with open(Path(__file__).with_name("ran"), "a") as ran:
        print(os.environ["PYTEST_XDIST_WORKER"], Path(__file__).stem, file=ran)
    if {leaves}:
        child = subprocess.Popen(["sleep", "600"])
        Path(__file__).with_name("child").write_text(str(child.pid))
"""


def run(folder: Path, *, names: str, leaves: str = "") -> dict[str, list[str]]:
    """Run a file of one test for each name, in two processes; which files each process ran, in its order."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    for name in names:
        (folder / f"test_{name}.py").write_text(TEST.format(leaves=name == leaves))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
    ]
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs" / "eventbus")])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran: dict[str, list[str]] = {}
    for line in (folder / "ran").read_text().splitlines():
        process, file = line.split()
        ran.setdefault(process, []).append(file.removeprefix("test_"))
    return ran


def test_one_process_begins_at_the_end_and_the_other_at_the_beginning(tmp_path: Path) -> None:
    up, down = sorted(run(tmp_path, names="abcdefgh").values())

    assert up[0] == "a" and down[0] == "h"
    assert up + down[::-1] == list("abcdefgh"), "each test runs once; they meet"


def test_what_a_test_leaves_running_is_ended_with_the_run(tmp_path: Path) -> None:
    run(tmp_path, names="ab", leaves="b")

    with pytest.raises(
        (FileNotFoundError, ProcessLookupError)
    ):  # the latter while nobody has asked how it ended
        Path("/proc", (tmp_path / "child").read_text(), "environ").read_bytes()
