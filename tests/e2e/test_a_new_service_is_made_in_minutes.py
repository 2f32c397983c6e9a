"""The page "How to add a service", line by line in a copy of the repository; then the service is killed at work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.reader import Reader
from tests.e2e.running import ROOT, LocalStack
from tests.e2e.topic_client import TopicClient
from tests.e2e.waiting import until
from tests.support.readme import Command, commands

PAGE = ROOT / "docs" / "how-to" / "add-a-service.md"
BODY = {"userId": "u1", "productId": "demo-widget", "quantity": 1, "paymentMethod": "tok_ok"}
AUDIT = Command("make audit", 0, ("The audit is clean",))
SHARED = {
    "docker-compose.yml",
    "docs/explanation/modules.md",
    "docs/reference/asyncapi.json",
    "docs/reference/catalogue.md",
    "docs/reference/settings.md",
    "services.toml",
    "tools/gateway/Dockerfile",
    "tools/gateway/haproxy.cfg",
}
"""Files of others in which a new service has an entry."""

pytestmark = pytest.mark.timeout(600)


def git(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it stands, edits included, committed; with the same virtual environment."""
    root = tmp_path_factory.mktemp("repository")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    git(root, "init", "--quiet")
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--message", "as it stands")
    (root / ".venv").symlink_to(ROOT / ".venv")
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", root / ".mypy_cache")
    return root


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    return LocalStack(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def reader(copy: Path, system: LocalStack) -> Iterator[Reader]:
    cache = os.environ.get("STACK_CACHE_DIR") or str(ROOT / ".run" / "cache")
    path = f"{copy}{os.pathsep}{copy / 'libs' / 'eventbus'}"
    reader = Reader(system, copy, env={"STACK_CACHE_DIR": cache, "PYTHONPATH": path})
    try:
        yield reader
    finally:
        reader.leave()
        reader.run(Command("make clean", 0))


def diffs(document: str) -> list[tuple[int, str]]:
    """The changes that a page shows, each with the number of its line."""
    found = re.finditer(r"^```diff\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return [(document.count("\n", 0, block.start()) + 1, block[1]) for block in found]


def order(system: LocalStack) -> str:
    """An order that is confirmed, and perhaps complete already; its id."""
    answer = httpx.post(
        f"{system.url('order')}/orders", json=BODY, headers={"Prefer": "wait=10"}, timeout=30, trust_env=False
    )
    assert answer.json()["status"] in ("CONFIRMED", "COMPLETED"), answer.text
    return str(answer.json()["orderId"])


def status(system: LocalStack, order_id: str) -> str:
    return str(httpx.get(f"{system.url('order')}/orders/{order_id}", trust_env=False).json()["status"])


def handed_over(system: LocalStack) -> str:
    """Everything that the new service's replicas have logged."""
    return "".join(path.read_text() for path in (system.run_dir / "logs").glob("shipping*.log"))


def test_every_line_of_the_page_does_what_it_says(reader: Reader, system: LocalStack, copy: Path) -> None:
    document = PAGE.read_text()
    steps: list[tuple[int, Command | str]] = [(command.line, command) for command in commands(document)]
    before = ""
    for _, step in sorted([*steps, *diffs(document)], key=lambda numbered: numbered[0]):
        if isinstance(step, str):
            subprocess.run(["git", "apply"], cwd=copy, input=step, text=True, check=True)
        elif step.stays:
            before = order(system)
            reader.leave_running(step)
        elif step.text == "make check":
            # The types of what is new: `make check` of the repository itself looks at all the rest.
            reader.run(Command("make check CHECKED='services/shipping tests/unit/shipping'", step.line))
        elif step.text.startswith("git status"):
            assert reader.run(step) == ""
        else:
            if step.text == "make up":
                reader.leave()
            reader.run(step)

    assert set(git(copy, "diff", "--name-only").split()) == SHARED
    assert before and before not in handed_over(system)


def test_it_survives_kill_9_and_hands_every_order_over(reader: Reader, system: LocalStack) -> None:
    orders = [order(system) for _ in range(5)]
    for name in ("shipping", "shipping-1"):
        system.kill(name)
        orders += [order(system) for _ in range(10)]

    for order_id in orders:
        until(lambda o=order_id: status(system, o) == "COMPLETED", 60.0, f"{order_id} is complete")  # type: ignore[misc]
    logged = handed_over(system)
    assert [order_id for order_id in orders if f"[shipping:{order_id}]" not in logged] == []
    topics = TopicClient(system.bootstrap_servers)
    try:
        written = [raw.key.decode() for raw in topics.read("shipping.events") if raw.key]
    finally:
        topics.close()
    assert [written.count(order_id) for order_id in orders] == [1] * len(orders)
    reader.run(AUDIT)
