"""Every command line of the pages for operators, the how-to pages and the README, run against a system of its own.

A page that shows files is read in a folder of its own, where the files are written and ``schemas/`` is copied to.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import ROOT, LocalStack, Stack
from tests.e2e.waiting import until
from tests.support.readme import Command, File, commands, steps, with_ports

HOW_TO = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "how-to").glob("*.md"))
DOCUMENTS = ("docs/operations.md", *HOW_TO, "README.md")  # the README ends with `make down`
OTHER_TEAMS = "docs/how-to/use-the-topics.md"


def provided(document: str) -> list[Command | File]:
    """The commands of a document; and its files, if it is one whose reader has no repository."""
    text = (ROOT / document).read_text()
    return steps(text) if document == OTHER_TEAMS else list(commands(text))


PROVIDED = [
    pytest.param(document, step, id=f"{document}:{step.line}")
    for document in DOCUMENTS
    for step in provided(document)
]
RECURSIVE = ("make test", "make check")
"""This test is part of the first, and the second says nothing of a running system: their recipes are only read."""
EXAMPLE, TIMEOUT = 8004, 600.0
NOT_EVERYWHERE = {"kcat", "java", "mvn"}
UNREACHABLE = re.compile("Could not transfer|Unknown host|Connection refused|offline")

pytestmark = pytest.mark.timeout(900)


class Reader:
    """Somebody who pastes the lines into a shell in the repository, or of another team's page in ``folder``."""

    def __init__(self, system: Stack, folder: Path) -> None:
        base = system.settings.port_base
        local = {8000 + used: base + used for used in (*range(5), 90, 91)}
        self.ports = {**local, 9092: system.settings.kafka_port}
        self.folder, self.env = folder, system.shell_env()
        programs = (str(ROOT / "bin"), str(Path(sys.executable).parent), self.env["PATH"])
        self.other_team = {**self.env, "PATH": os.pathsep.join(programs), "PYTHONPATH": ""}
        shutil.copytree(ROOT / "schemas", folder / "schemas")
        self._staying: list[subprocess.Popen[str]] = []

    def write(self, file: File) -> None:
        """Write a file that a page shows."""
        (self.folder / file.path).write_text(with_ports(file.content, self.ports))

    def run(self, command: Command, *, other_team: bool = False) -> str:
        """Run a line to its end; what it printed. Fails the test if it fails."""
        text = with_ports(command.text, self.ports)
        if text in RECURSIVE:
            text = text.replace("make", "make --dry-run", 1)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=self.folder if other_team else ROOT,
            env=self.other_team if other_team else self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        if "mvn" in command.programs and UNREACHABLE.search(done.stdout + done.stderr):
            pytest.skip("Maven reaches no repository from here")
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
    reader = Reader(system, tmp_path_factory.mktemp("team"))
    try:
        system.up()
        yield reader
    finally:
        reader.leave()
        system.verb("clean")


@pytest.mark.parametrize(("document", "step"), PROVIDED)
def test_the_line_works_when_pasted(document: str, step: Command | File, reader: Reader) -> None:
    if isinstance(step, File):
        reader.write(step)
        return
    for program in NOT_EVERYWHERE & step.programs:
        # A Java without a compiler does not run a source file.
        if shutil.which("javac" if program == "java" else program) is None:
            pytest.skip(f"{program} is not installed here")
    if "java" in step.programs and not (reader.folder / "lib").exists():
        pytest.skip("Maven has fetched no jars")
    if step.stays:
        reader.leave_running(step)
        return
    printed = reader.run(step, other_team=document == OTHER_TEAMS)
    for promise in step.promises:
        assert promise in printed, f"{step.text}\nprinted {printed}"
