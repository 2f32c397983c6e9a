"""Who follows schemas/README.md, or the page on a new field, with its own example ends with a check that passes.

No broker. The commands and the fields are read from the pages and carried out in a copy of the tree, which is a git
repository of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    *(
        "schemas",
        "services",
        "clients",
        "libs",
        "examples",
        "tools",
        "tests",
        "docs",
        "Makefile",
        "pyproject.toml",
        "services.toml",
    ),
    *("requirements-dev.txt", "requirements-stack.txt"),
)
PROGRAMS = (
    "tools.check_schemas",
    "tools.generate_messages --check",
    "tools.recordings --check",
    "tools.reference --check",
)
"""What `make check` runs about messages."""


class Tree:
    """A copy of the repository, in which everything is committed to main."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, root / name)
        # The virtual environment of this test, with nothing to install.
        (root / ".venv" / "bin").mkdir(parents=True)
        (root / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (root / ".venv" / "bin" / "python").chmod(0o755)
        for mark in (".stack", ".dev"):
            (root / ".venv" / mark).touch()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all", "--", ":!.venv")
        self.git("commit", "--quiet", "--message=all")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root}:{self.root / 'libs' / 'eventbus'}:{self.root / 'libs' / 'eventbus' / 'tests'}"
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "MFLAGS", "GIT_"))}
        return subprocess.run(
            command,
            cwd=self.root,
            env={**inherited, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", "--no-print-directory", *words)

    def must(self, line: str) -> str:
        """Carry out a line of a page; `make check` stands for the programs that it runs about messages."""
        if line == "make check":
            for program in PROGRAMS:
                self.must(f"python -m {program}")
            return ""
        done = self.run(*line.replace("python ", f"{sys.executable} ").split())
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def read(self, file: str) -> Any:
        return json.loads((self.root / file).read_text(encoding="utf-8"))

    def add_field(self, file: str, field: Any) -> None:
        schema = self.read(file)
        schema["fields"].append(field)
        (self.root / file).write_text(json.dumps(schema, indent=2), encoding="utf-8")

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        path = self.root / file
        before = path.read_text(encoding="utf-8")
        assert change(before) != before
        path.write_text(change(before), encoding="utf-8")

    def contents(self) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in (self.root / "schemas").rglob("*.avsc")}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def tree(clean: Tree) -> Tree:
    clean.git("checkout", "--quiet", "--force", "-B", "work", "main")
    clean.git("clean", "--quiet", "--force", "-d", "--exclude=.venv")
    return clean


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        re.sub(r"^ +", "", block, flags=re.MULTILINE).strip()
        for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    ]


def test_the_example_of_the_readme_passes_the_check_and_all_contract_tests(tree: Tree) -> None:
    make, pin = blocks("schemas/README.md", "sh")[:2]
    field = json.loads(blocks("schemas/README.md", "json")[0])
    before = tree.contents()

    said = tree.must(make)
    assert "It is read from now on, and PaymentVoided.v1 is still written (schemas/written.json)" in said
    tree.must("make check")
    tree.add_field("schemas/payment.events/PaymentVoided.v1.1.avsc", field)
    for line in pin.splitlines():
        tree.must(line)

    assert tree.read("schemas/written.json") == {"PaymentVoided": "PaymentVoided.v1"}
    [sample] = tree.read("schemas/golden.json")["PaymentVoided.v1.1"]
    assert sample["record"][field["name"]] == "example"
    assert tree.contents().items() >= before.items(), "a released file was changed"
    tests = "tests/contract/test_released_schemas_stay_readable.py"
    tested = tree.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    assert tested.returncode == 0, tested.stdout[-3_000:]


def id_written(tree: Tree) -> int:
    """The schema id with which the code of the tree writes OrderCancelled."""
    program = (
        "from eventbus.codec import Codec; from schemas import OrderCancelled\n"
        "message = OrderCancelled(order_id='o', user_id='u', reason='r', cancelled_by='me')\n"
        "print(Codec('schemas').encode(message)[1:5].hex())"
    )
    done = tree.run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    return int(done.stdout, 16)


def test_the_page_on_a_new_field_leads_to_a_check_that_passes_before_and_after_the_release(
    tree: Tree,
) -> None:
    page = "docs/how-to/add-a-field.md"
    make, pin, record, check = blocks(page, "sh")
    tree.must(make)
    tree.add_field("schemas/order.events/OrderCancelled.v1.2.avsc", json.loads(blocks(page, "json")[0]))
    assert "changed without a new fold version" in tree.must(pin)
    tree.edit(
        "services/order/decider.py",
        lambda text: re.sub(r"fold_version=(\d+)", lambda found: f"fold_version={int(found[1]) + 1}", text),
    )
    tree.must(record)
    tree.must(check)
    ids = tree.read("schemas/ids.json")
    assert id_written(tree) == ids["OrderCancelled.v1.1"]

    (tree.root / "schemas/written.json").unlink()
    tree.must("make reference")

    tree.must(check)
    assert id_written(tree) == ids["OrderCancelled.v1.2"]


def test_a_released_version_is_pinned_no_more(tree: Tree) -> None:
    path, note = "schemas/order.events/OrderPaid.v1.1.avsc", {"name": "note", "type": "string", "default": ""}
    tree.must("make schema-version MESSAGE=order.events/OrderPaid")
    tree.commit()
    tree.git("branch", "--quiet", "--force", "main", "work")
    try:
        pins = tree.read("schemas/released.json")
        tree.add_field(path, {**note, "doc": "A note."})
        refused = tree.make("schema-pin", "MESSAGE=order.events/OrderPaid")
        assert refused.returncode != 0
        assert "OrderPaid.v1.1 was released: main has its file, so replicas may know it" in refused.stderr
        assert tree.read("schemas/released.json") == pins
        tree.git("checkout", "main", "--", path)
        assert "OrderPaid.v1.2 is made" in tree.must("make schema-version MESSAGE=order.events/OrderPaid")
        assert tree.read("schemas/written.json") == {"OrderPaid": "OrderPaid.v1"}, (
            "the version before stays written"
        )
    finally:
        tree.git("branch", "--quiet", "--force", "main", "main~1")


def test_without_git_nothing_is_pinned_anew(tree: Tree, tmp_path: Path) -> None:
    shutil.move(tree.root / ".git", tmp_path / "git")
    try:
        refused = tree.make("schema-pin", "MESSAGE=order.events/OrderPaid")
    finally:
        shutil.move(tmp_path / "git", tree.root / ".git")
    assert refused.returncode != 0
    assert "git has no main branch that says whether it was released" in refused.stderr


def test_a_major_version_and_a_new_message_pass_the_check(tree: Tree) -> None:
    assert "OrderCleared.v2 is made, with id 1003" in tree.must(
        "make schema-version MESSAGE=fraud.events/OrderCleared MAJOR=1 PACKAGE=examples.fraud"
    )
    assert '("OrderCleared", 1): ' in (tree.root / "examples/fraud/downcasts.py").read_text(encoding="utf-8")
    tree.must("make schema-version MESSAGE=order.commands/RateOrder NEW=1")
    assert "class RateOrder(Command):" in (tree.root / "schemas/messages.py").read_text(encoding="utf-8")
    tree.must("make check")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["MESSAGE="], "'' names no message: write it as order.events/OrderCreated"),
        (["MESSAGE=order.events/OrderLost"], "there is no order.events/OrderLost in schemas, examples.fraud"),
        (["MESSAGE=order.events/OrderPaid", "NEW=1"], "order.events/OrderPaid is there already"),
        (["MESSAGE=order.events/OrderPaid", "PACKAGE=examples.shop"], "there is no package examples.shop"),
        (
            ["MESSAGE=rating.events/OrderRated", "NEW=1"],
            "may go into no package: name a package with PACKAGE=",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(tree: Tree, words: list[str], reason: str) -> None:
    refused = tree.make("schema-version", *words)
    assert refused.returncode != 0
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_version_is_made_of_what_is_wrong_already(tree: Tree) -> None:
    tree.edit("schemas/order.events/OrderPaid.v1.avsc", lambda text: text.replace('"string"', '"long"', 1))
    refused = tree.make("schema-version", "MESSAGE=order.events/OrderFailed")
    assert refused.returncode != 0
    assert "first mend what is wrong already" in refused.stderr
    assert not list((tree.root / "schemas/order.events").glob("OrderFailed.v1.2.avsc"))
