"""The documents say what is there: every module on the map, every link to something that exists."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.readme import File, steps
from tools.stack.jars import VERSION
from tools.stack.settings import ROOT

PARTS = (
    "clients/python/orders_client",
    "libs/eventbus/eventbus",
    "services",
    "verification",
    "tools",
    "bench",
)
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("libs/*/README.md"),
        *ROOT.glob("clients/*/README.md"),
        *ROOT.glob("docs/**/*.md"),
    )
    if path.name != "CHANGELOG.md"
)
MAP = (ROOT / "docs" / "explanation" / "modules.md").read_text()


def on_the_map() -> Counter[str]:
    """The modules and packages that the map has a line or a heading for, as paths from the top."""
    found: Counter[str] = Counter()
    package = ""
    for line in MAP.splitlines():
        if heading := re.fullmatch(r"## (\S+)", line):
            package = heading[1]
            found[package] += 1
        elif item := re.match(r"- `(\w+\.py)` \S+", line):
            found[f"{package}/{item[1]}"] += 1
    return found


def in_the_tree() -> set[str]:
    """Every package of the library, the services, verification, tools and bench, and every module in them."""
    modules = [path.relative_to(ROOT) for part in PARTS for path in (ROOT / part).rglob("*.py")]
    return {str(path.parent if path.name == "__init__.py" else path) for path in modules}


def test_every_module_stands_on_the_map_once() -> None:
    found = on_the_map()
    assert {path: count for path, count in found.items() if count > 1} == {}
    missing, gone = in_the_tree() - set(found), set(found) - in_the_tree()
    assert not missing, f"docs/explanation/modules.md has no line for {sorted(missing)}"
    assert not gone, f"docs/explanation/modules.md has a line for {sorted(gone)}, which are gone"


def test_a_line_of_the_map_is_a_sentence() -> None:
    lines = re.findall(r"^- `\w+\.py` (.*(?:\n  .*)*)", MAP, re.MULTILINE)
    assert [line for line in lines if not line.endswith(".")] == []


def anchor(heading: str) -> str:
    """The anchor that a Markdown viewer makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_something_that_is_there(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, fragment = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), f"{document.name} links to {target}"
        if fragment and found.suffix == ".md":
            assert fragment in anchors(found), f"{document.name} links to {target}"


def test_what_another_team_runs_needs_none_of_the_code_here() -> None:
    page = steps((ROOT / "docs" / "how-to" / "use-the-topics.md").read_text())
    files = {step.path: step.content for step in page if isinstance(step, File)}
    programs = [content for path, content in files.items() if path.endswith(".py")]
    imported = {
        name for text in programs for name in re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    }
    assert len(programs) == 2 and imported - set(sys.stdlib_module_names) == {"confluent_kafka", "fastavro"}
    packages = set(re.findall(r"^import ((?:org|com)\.\w+\.\w+)", files["Orders.java"], re.MULTILINE))
    assert packages == {"org.apache.kafka", "org.apache.avro", "com.fasterxml.jackson"}
    assert f"<version>{VERSION}</version>" in files["pom.xml"]


def test_the_readme_has_150_lines_at_most() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_word_of_the_glossary_has_one_meaning() -> None:
    text = (ROOT / "docs" / "explanation" / "glossary.md").read_text().partition("## Other systems' words")[0]
    words = [word for cell in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for word in cell.split(", ")]
    assert [word for word, count in Counter(words).items() if count > 1 and word not in ("word", "---")] == []


def test_hosted_ci_installs_kcat_and_is_one_call_of_make_that_the_makefile_knows() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    [install, command] = re.findall(r"^\s+- run: (.*)$", workflow, re.MULTILINE)
    assert install.endswith("apt-get install -y kcat")
    assert command == "make ci"
    assert re.search(r"^ci: check test\b", (ROOT / "Makefile").read_text(), re.MULTILINE)
