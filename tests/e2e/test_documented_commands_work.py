"""Every command line of the pages for operators, the how-to pages and the README, run against a system of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.reader import Reader
from tests.e2e.running import ROOT, LocalStack
from tests.support.readme import Command, commands

HOW_TO = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "docs" / "how-to").glob("*.md")
    if path.name != "add-a-service.md"  # it changes the repository: another test runs it in a copy
)
PROVIDED = [
    pytest.param(command, id=f"{document}:{command.line}")
    for document in ("docs/operations.md", *HOW_TO, "README.md")  # the README ends with `make down`
    for command in commands((ROOT / document).read_text())
]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    system = LocalStack(tmp_path_factory.mktemp("readme"))
    reader = Reader(system, ROOT, recipes_only=("make test", "make check"))
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
    reader.run(command)
