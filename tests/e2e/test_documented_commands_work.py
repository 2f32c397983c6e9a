"""Every command line of the pages for operators, the how-to pages and the README, run against a system of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.running import ROOT, LocalStack, Stack
from tests.e2e.waiting import until
from tests.support.readme import Command, commands, with_ports

HOW_TO = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "how-to").glob("*.md"))
PROVIDED = [
    pytest.param(command, id=f"{document}:{command.line}")
    for document in ("docs/operations.md", *HOW_TO, "README.md")  # the README ends with `make down`
    for command in commands((ROOT / document).read_text())
]
RECURSIVE = ("make test", "make check")
"""This test is part of the first, and the second says nothing of a running system: their recipes are only read."""
EXAMPLE, TIMEOUT = 8004, 600.0

pytestmark = pytest.mark.timeout(900)


class Reader:
    """Somebody who pastes the lines into a shell in the repository."""

    def __init__(self, system: Stack) -> None:
        base = system.settings.port_base
        local = {8000 + used: base + used for used in (*range(5), 90)}
        self.ports = {**local, 9092: system.settings.kafka_port}
        self.env = system.shell_env()
        self._staying: list[subprocess.Popen[str]] = []

    def run(self, command: Command) -> str:
        """Run a line to its end; what it printed. Fails the test if it fails."""
        text = with_ports(command.text, self.ports)
        if text in RECURSIVE:
            text = text.replace("make", "make --dry-run", 1)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, f"{text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def leave_running(self, command: Command) -> None:
        """Start a line that stays, as in a terminal of its own; returns when the example is ready."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.text}"],
            cwd=ROOT,
            env=self.env,
            text=True,
            start_new_session=True,
        )
        self._staying.append(process)
        url = f"http://127.0.0.1:{self.ports[EXAMPLE]}/readyz"
        until(lambda: httpx.get(url, trust_env=False).status_code == 200, 60.0, f"{command.text} is ready")

    def leave(self) -> None:
        """Ctrl-C in every terminal left open."""
        for process in self._staying:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30.0)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    system = LocalStack(tmp_path_factory.mktemp("readme"))
    reader = Reader(system)
    try:
        system.up()
        yield reader
    finally:
        reader.leave()
        system.verb("clean")


@pytest.mark.parametrize("command", PROVIDED)
def test_the_line_works_when_pasted(command: Command, reader: Reader) -> None:
    if "kcat" in command.programs and shutil.which("kcat") is None:
        pytest.skip("kcat is not installed here")
    if command.stays:
        reader.leave_running(command)
        return
    said = reader.run(command)
    for promise in command.promises:
        assert promise in said, f"{command.text}\nprinted {said}"
