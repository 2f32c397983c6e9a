"""``python -m bench`` end to end: a tiny row is measured, and whatever ends a run, its processes are gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.result import Row, from_json
from tests.support.waiting import eventually
from tools.stack.settings import ROOT, StackSettings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
SMALL = ("--rows", "cpu-per-order", "--rounds", "1", "--seconds", "5")


def processes_of(run_dir: Path) -> dict[str, str]:
    """The processes that know of a run directory, by their arguments or their environment: id and command line."""
    found, mark = dict[str, str](), str(run_dir).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            known = mark in words or mark in (process / "environ").read_bytes()
        except OSError:
            continue
        if known and process.name != str(os.getpid()):
            found[process.name] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


@contextmanager
def bench(run_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The bench as a process of its own group, as a terminal has it, so that Ctrl-C can be played."""
    command = [sys.executable, "-m", "bench", *arguments]
    jars = StackSettings.from_env(os.environ).cache_dir
    env = {**os.environ, "STACK_RUN_DIR": str(run_dir), "STACK_CACHE_DIR": str(jars)}
    with (run_dir / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=said, text=True, process_group=0
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=120)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path


def test_a_row_is_measured_and_nothing_is_left(run_dir: Path) -> None:
    with bench(run_dir, *SMALL) as process:
        printed, _ = process.communicate(timeout=400)
        said = (run_dir / "said").read_text()

    assert process.returncode == 0, said
    text = (run_dir / "bench.json").read_text()
    (cost,) = from_json(text)
    assert (cost.name, len(cost.rounds)) == ("cpu-per-order", 1)
    assert_plausible(cost, json.loads(text)["about"])
    assert "cpu-per-order" in printed and "3 partitions, replication 1, acks=all" in printed
    assert processes_of(run_dir) == {}


def assert_plausible(row: Row, about: dict[str, Any]) -> None:
    """An order costs more than a POST, and all who work for it are counted, a gateway too where there is one."""
    assert row.ratio > 1
    assert set(row.details["ms by process"]) - {"gateway"} == {
        "kafka",
        "simulator",
        "order",
        "payment",
        "inventory",
        "notification",
    }
    assert set(row.details["reference's ms by process"]) == {"app", "broker"}
    assert 0 < row.details["reference's share of raw produce"] < 1
    assert {"machine", "Python", "Kafka", "settings"} <= about.keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_all_that_it_started(run_dir: Path, number: signal.Signals) -> None:
    with bench(run_dir, *SMALL[:-1], "600") as process:
        eventually(
            lambda: (run_dir / "bench" / "ours" / "logs" / "notification.log").exists(),
            "the stack is being started",
            240,
        )
        # Ctrl-C reaches all processes of the terminal; a kill reaches the one that is named
        os.killpg(process.pid, number) if number is signal.SIGINT else process.send_signal(number)
        process.communicate(timeout=200)

    assert process.returncode == 130, (run_dir / "said").read_text()
    assert processes_of(run_dir) == {}


def test_a_run_that_fails_ends_all_that_it_started(run_dir: Path) -> None:
    with bench(run_dir, *SMALL[:-1], "600") as process:
        log = run_dir / "bench" / "logs" / "post.log"
        eventually(log.exists, "the bare app has been started", 240)
        (app,) = eventually(lambda: app_of(process.pid), "the bare app runs")
        os.kill(app, signal.SIGKILL)
        process.communicate(timeout=400)

    assert process.returncode == 2
    assert "cpu-per-order could not be measured" in (run_dir / "said").read_text()
    assert processes_of(run_dir) == {}


def test_what_a_killed_run_left_behind_is_ended_by_the_next(run_dir: Path) -> None:
    with bench(run_dir, *SMALL[:-1], "600") as process:
        eventually((run_dir / "bench" / "logs" / "post.log").exists, "all has been started", 240)
        process.kill()
        process.communicate(timeout=60)
    left = processes_of(run_dir)
    assert len(left) > 5

    with bench(run_dir, *SMALL[:-1], "600") as process:
        eventually(lambda: not left.keys() & processes_of(run_dir), "what was left has ended", 240)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=200)
    assert process.returncode == 130, (run_dir / "said").read_text()
    assert processes_of(run_dir) == {}


def app_of(parent: int) -> list[int]:
    """The process of the bare app that a bench started."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "bench.bare.post" in line]
