"""The tutorial and the README of the library: files as shown, commands that print what is promised."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import ROOT
from tests.support.readme import Command, File, steps, with_ports
from tests.support.waiting import eventually
from tools.stack.ports import free_port

DOCUMENTS = ("docs/tutorial.md", "libs/eventbus/README.md")
STEPS = [(document, step) for document in DOCUMENTS for step in steps((ROOT / document).read_text())]
PORT, TIMEOUT = 8100, 90.0

pytestmark = pytest.mark.timeout(180)


class Learner:
    """Somebody who writes the files and pastes the commands, in an empty folder, with the library alone."""

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "libs" / "eventbus"),
            "EVENTBUS_BOOTSTRAP_SERVERS": bootstrap_servers,
            "EVENTBUS_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}.",
            "EVENTBUS_HTTP_PORT": str(self.port),
        }
        self._service: subprocess.Popen[str] | None = None

    def write(self, file: File) -> None:
        """Write or complete a file."""
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        assert path.exists() or not file.added, f"{file.path} is completed before it is there"
        path.write_text(path.read_text() + "\n\n" + file.content if file.added else file.content)

    def run(self, command: Command) -> str:
        """Run a command to its end; returns what it printed."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", with_ports(command.text, {PORT: self.port})],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, (
            f"{command.text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        )
        return done.stdout

    def serve(self, command: Command) -> None:
        """Start the service in a terminal of its own, in the place of one that runs; returns when it is ready."""
        self.leave()
        log = (self.folder / "service.log").open("a")
        self._service = subprocess.Popen(
            ["bash", "-c", f"exec {command.text}"],
            cwd=self.folder,
            env=self.env,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        eventually(self._is_ready, f"{command.text} is ready", 60.0)

    def _is_ready(self) -> bool:
        assert self._service and self._service.poll() is None, (self.folder / "service.log").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def leave(self) -> None:
        """Ctrl-C in the service's terminal."""
        if self._service:
            if self._service.poll() is None:
                os.killpg(self._service.pid, signal.SIGINT)
                self._service.wait(30.0)
            self._service = None


@pytest.fixture(scope="module")
def learners(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Learner]]:
    """Somebody for each document."""
    learners = {document: Learner(kafka, tmp_path_factory.mktemp("learner")) for document in DOCUMENTS}
    yield learners
    for learner in learners.values():
        learner.leave()


@pytest.mark.parametrize(
    ("document", "step"), STEPS, ids=[f"{Path(document).stem}-line-{step.line}" for document, step in STEPS]
)
def test_the_block_works_as_it_stands(
    document: str, step: Command | File, learners: dict[str, Learner]
) -> None:
    learner = learners[document]
    if isinstance(step, File):
        learner.write(step)
    elif step.stays:
        learner.serve(step)
    else:
        printed = learner.run(step)
        for promise in step.promises:
            assert promise in printed, f"{step.text}\nprinted {printed}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_it_imports_public_names_only(document: str) -> None:
    """``eventbus``, ``eventbus.http`` and ``eventbus.testing`` are what a service may use; and no shop."""
    sources = [
        s.content for d, s in STEPS if d == document and isinstance(s, File) and s.path.endswith(".py")
    ]
    modules = {m for text in sources for m in re.findall(r"^(?:from|import) ([\w.]+)", text, re.MULTILINE)}
    library = {m for m in modules if m.split(".")[0] == "eventbus"}
    assert library and library <= {"eventbus", "eventbus.http", "eventbus.testing"}
    assert not {m for m in modules if m.split(".")[0] in ("schemas", "services", "tools", "tests")}


def test_the_librarys_readme_shows_a_service_in_30_lines() -> None:
    [shown] = [
        s for d, s in STEPS if d == DOCUMENTS[1] and isinstance(s, File) and s.path.endswith("__main__.py")
    ]
    assert len(shown.content.splitlines()) <= 30
