"""docs/operations.md says what the code does: its settings, metrics and dead letter headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic_settings import BaseSettings

from eventbus import Settings, metrics
from eventbus.cli.ending import Exit
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS, TRUNCATED, Parked, State
from eventbus.retry.preview import Effect
from services.inventory.settings import InventorySettings
from services.notification.settings import NotificationSettings
from services.order.settings import OrderSettings
from services.payment.settings import PaymentSettings
from services.payment.simulator.settings import SimulatorSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (unset|`[^`]*`{1,2}) \|", PAGE, re.MULTILINE))
CLASSES: tuple[type[BaseSettings], ...] = (
    Settings,
    OrderSettings,
    PaymentSettings,
    InventorySettings,
    NotificationSettings,
    SimulatorSettings,
)


def variables(cls: type[BaseSettings]) -> dict[str, str]:
    """The environment variable of each field."""
    prefix = cls.model_config.get("env_prefix", "")
    return {
        str(field.validation_alias or f"{prefix}{name}".upper()): name
        for name, field in cls.model_fields.items()
    }


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(ROWS) == {variable for cls in CLASSES for variable in variables(cls)}


@pytest.mark.parametrize("cls", CLASSES)
def test_the_defaults_are_those_of_the_code(cls: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {name: field.default for name, field in cls.model_fields.items()}
    for variable, name in variables(cls).items():
        if ROWS[variable] == "unset":
            assert defaults[name] is None
        else:
            monkeypatch.setenv(variable, ROWS[variable].strip("`"))
    assert cls().model_dump() == defaults


def test_every_metric_is_listed() -> None:
    listed = set(re.findall(r"^\| `(eventbus_[a-z_]+)`", PAGE, re.MULTILINE))
    made = [m for m in vars(metrics).values() if isinstance(m, MetricWrapperBase)]
    assert listed == {m._name + "_total" * (m._type == "counter") for m in made}


def test_every_header_of_a_dead_letter_is_listed() -> None:
    raw = Raw("order.commands", 0, 0, b"k", b"junk", [], 0)
    letter = Parked(raw, "", "", 0, State.DEAD, 1, 0, 0).letter("order", "1", 0)
    table = PAGE.split("| header `")[1].split("\n\n")[0]
    listed = set(re.findall(r"`([a-z.]+)`", table.split("\n", 2)[2]))
    assert {name.removeprefix(ERRORS) for name in (*dict(letter), TRUNCATED)} == listed


def test_every_verdict_and_every_exit_code_is_listed() -> None:
    section = PAGE.split("### See what waits")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z ]+)` \|", section, re.MULTILINE) == [v.value for v in Effect]
    assert re.findall(r"^\| ([0-9]) \|", section, re.MULTILINE) == [str(e.value) for e in Exit]
