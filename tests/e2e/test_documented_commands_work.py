"""Every command line of the pages for operators, the how-to pages and the README, run against a system of its own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.reader import Reader
from tests.e2e.running import ROOT, LocalStack
from tests.support.readme import Command, File, commands, steps, with_ports

ELSEWHERE = (
    "add-a-service.md",  # it changes the repository: another test runs it in a copy
    "use-the-topics.md",  # its reader is another team, which has no repository
)
HOW_TO = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "docs" / "how-to").glob("*.md")
    if path.name not in ELSEWHERE
)
PROVIDED = [
    pytest.param(command, id=f"{document}:{command.line}")
    for document in ("docs/operations.md", *HOW_TO, "README.md")  # the README ends with `make down`
    for command in commands((ROOT / document).read_text())
]
FOR_OTHER_TEAMS = steps((ROOT / "docs" / "how-to" / "use-the-topics.md").read_text())
NOT_EVERYWHERE = {"kcat": "kcat", "mvn": "mvn", "java": "javac"}
"""What must be installed for a program: a Java without a compiler runs no source file."""
UNREACHABLE = re.compile("Could not transfer|Unknown host|Connection refused|offline mode")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    system = LocalStack(tmp_path_factory.mktemp("readme"))
    try:
        system.up()
        yield system
    finally:
        system.verb("clean")


@pytest.fixture(scope="module")
def reader(own_stack: LocalStack) -> Iterator[Reader]:
    reader = Reader(own_stack, ROOT, recipes_only=("make test", "make check"))
    yield reader
    reader.leave()


@pytest.fixture(scope="module")
def other_team(own_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Somebody with a copy of the schemas, and with the command line and a Python on the path."""
    folder = tmp_path_factory.mktemp("other-team")
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    programs = (str(ROOT / "bin"), os.path.dirname(sys.executable), os.environ["PATH"])
    return Reader(own_stack, folder, env={"PATH": os.pathsep.join(programs), "PYTHONPATH": ""})


def require(command: Command) -> None:
    """Skip what this machine has no program for."""
    for program in command.programs & set(NOT_EVERYWHERE):
        if shutil.which(NOT_EVERYWHERE[program]) is None:
            pytest.skip(f"{NOT_EVERYWHERE[program]} is not installed here")


@pytest.mark.parametrize("step", FOR_OTHER_TEAMS, ids=lambda step: str(step.line))
def test_what_another_team_is_shown_works(step: Command | File, other_team: Reader) -> None:
    if isinstance(step, File):
        (other_team.root / step.path).write_text(with_ports(step.content, other_team.ports))
        return
    require(step)
    if "java" in step.programs and not (other_team.root / "lib").exists():
        pytest.skip("Maven has fetched no jars")
    try:
        other_team.run(step)
    except AssertionError as failed:
        if "mvn" in step.programs and UNREACHABLE.search(str(failed)):
            pytest.skip("Maven reaches no repository from here")
        raise


@pytest.mark.parametrize("command", PROVIDED)
def test_the_line_works_when_pasted(command: Command, reader: Reader) -> None:
    require(command)
    if command.stays:
        reader.leave_running(command)
        return
    reader.run(command)
