"""`make new-service` makes a service, or says in a sentence why not, and changes nothing then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import registry
from tools.new_service import __main__ as new_service
from tools.new_service.__main__ import make
from tools.new_service.plan import Refused, plan
from tools.registry import ROOT

COPIED = (
    "services.toml",
    "docker-compose.yml",
    "tools/gateway/haproxy.cfg",
    "tools/gateway/Dockerfile",
    "docs/explanation/modules.md",
    "docs/reference/settings.md",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that a new service gets entries in."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "Which name. Write for example `make new-service NAME=shipping`"),
        ("Couriers", "small letters and digits, a letter first"),
        ("2fast", "small letters and digits, a letter first"),
        ("ship-ping", "small letters and digits, a letter first"),
        ("../evil", "small letters and digits, a letter first"),
        ("a" * 25, "24 at most"),
        ("lambda", "no word of Python"),
        ("kafka", "taken by what else runs in a stack"),
        ("eventbus", "taken by what else runs in a stack"),
        ("payment", "the name payment is taken".capitalize()),
        # no service of that name, but its topics are inventory's
        ("stock", "topics that begin with it"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_changes(tree: Path, name: str, says: str) -> None:
    before = contents(tree)
    with pytest.raises(Refused, match=says):
        make(name, tree)
    assert contents(tree) == before


@pytest.mark.parametrize(
    "leftover",
    [
        "services/couriers/decider.py",
        "tests/unit/couriers/test_couriers_decider.py",
        "schemas/couriers.events/GoodsLeft.v1.avsc",
        "examples/other/other.events/CouriersDone.v1.avsc",
    ],
)
def test_what_is_there_already_is_named_and_not_written_over(tree: Path, leftover: str) -> None:
    (tree / leftover).parent.mkdir(parents=True)
    (tree / leftover).write_text("mine")
    before = contents(tree)
    with pytest.raises(Refused, match=r"There is already .*: remove it, or choose another name"):
        make("couriers", tree)
    assert contents(tree) == before


def test_a_shared_file_without_the_place_for_an_entry_is_named(tree: Path) -> None:
    compose = tree / "docker-compose.yml"
    compose.write_text(compose.read_text().replace("  gateway:\n", "  entrance:\n"))
    before = contents(tree)
    with pytest.raises(Refused, match=r"docker-compose.yml has 0 places .* restore it"):
        make("couriers", tree)
    assert contents(tree) == before


def test_a_generator_that_fails_leaves_everything_as_it_was(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_service, "GENERATORS", ("nosuchmodule $name",))
    before = contents(tree)
    with pytest.raises(
        Refused, match=r"nosuchmodule couriers failed, nothing is changed:\n.*No module named"
    ):
        make("couriers", tree)
    assert contents(tree) == before


def test_a_service_gets_the_first_port_that_is_free(tree: Path) -> None:
    taken = {service.port for service in registry.load(tree / "services.toml")}
    assert plan("couriers", tree).port == min({*range(8000, 8010)} - taken)


def test_an_eleventh_service_has_no_port(tree: Path) -> None:
    with (tree / "services.toml").open("a") as file:
        for port in {*range(8000, 8010)} - {service.port for service in registry.SERVICES}:
            file.write(f'[s{port}]\nport = {port}\npackage = "services.s{port}"\ndockerfile = "d"\n')
    with pytest.raises(Refused, match="ten services"):
        plan("couriers", tree)
