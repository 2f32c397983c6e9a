"""docs/reference is what the code says, and the code says enough."""

from __future__ import annotations

import re
from types import FunctionType

import pytest
from pydantic_settings import BaseSettings

from eventbus.cli.ending import CommandError, Exit
from tools import reference
from tools.reference import FOLDER, main, metrics, settings_classes, variable

SETTINGS = (FOLDER / "settings.md").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (unset|`[^`]*`{1,2}) \|", SETTINGS, re.MULTILINE))


@pytest.mark.parametrize(
    "page", ["library.md", "settings.md", "metrics.md", "catalogue.md", "asyncapi.json", "problems.md"]
)
def test_the_page_is_what_the_code_says(page: str) -> None:
    assert (FOLDER / page).read_text() == reference.pages()[page], "run `make reference`"


def test_a_page_that_is_out_of_date_fails_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    current = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    monkeypatch.setattr(reference, "pages", lambda: {**current, "metrics.md": "another"})
    assert main(["--check"]) == 1
    assert (
        "docs/reference/metrics.md is not what the code says: run `make reference`" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "error", [ValueError("schemas/ids.json is missing"), CommandError(Exit.USAGE, "no module shop")]
)
def test_what_cannot_be_described_is_said_in_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, str]:
        raise error

    monkeypatch.setattr(reference, "pages", broken)
    assert main([]) == 1
    assert capsys.readouterr().err == f"docs/reference cannot be written: {error}\n"


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(ROWS) == {variable(cls, name) for cls in settings_classes() for name in cls.model_fields}
    assert {cls.__name__ for cls in settings_classes()} >= {"Settings", "OrderSettings", "SimulatorSettings"}


@pytest.mark.parametrize("cls", settings_classes(), ids=lambda cls: cls.__name__)
def test_the_defaults_are_those_of_the_code(cls: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {name: field.default for name, field in cls.model_fields.items()}
    for name in cls.model_fields:
        if ROWS[variable(cls, name)] == "unset":
            assert defaults[name] is None
        else:
            monkeypatch.setenv(variable(cls, name), ROWS[variable(cls, name)].strip("`"))
    assert cls().model_dump() == defaults


def test_a_setting_that_does_not_say_what_it_means_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(BaseSettings):
        """Its field has no description."""

        depth: int = 1

    monkeypatch.setattr(reference, "settings_classes", lambda: [Silent])
    with pytest.raises(SystemExit, match=r"Silent\.depth needs a description"):
        reference.settings_page()


def test_every_metric_is_listed_and_says_what_it_is() -> None:
    listed = re.findall(
        r"^\| `([a-z_]+)` \| \w+ \| .* \| (.+) \|$", (FOLDER / "metrics.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in listed] == [m._name + "_total" * (m._type == "counter") for m in metrics()]
    assert {"eventbus_lag", "eventbus_breaker_open", "order_open"} <= {name for name, _ in listed}


def test_every_public_name_of_the_library_says_what_it_is() -> None:
    silent = [
        f"{module.__name__}.{name}"
        for module in reference.LIBRARY
        for name in reference.public(module)
        if isinstance(value := getattr(module, name), type | FunctionType) and not value.__doc__
    ]
    assert silent == []
