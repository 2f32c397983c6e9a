"""What `make` itself does: which programs it calls, and what it says when one fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.stack.settings import ROOT

TOOLS = ("ruff", "mypy", "lint-imports", "python")


def make(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository, as somebody would whose shell is not itself run by make."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env={**inherited, **env},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment whose programs only write down how they are called, and fail if FAILING names them."""
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        program = tmp_path / "bin" / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/calls"\n'
            f'echo "what {name} found"\ncase " $FAILING " in *" {name} "*) exit 1;; esac\n'
        )
        program.chmod(0o755)
    (tmp_path / ".stack").touch()
    (tmp_path / ".dev").touch()
    return tmp_path


def calls(venv: Path) -> list[str]:
    return (venv / "calls").read_text().splitlines()


def test_check_runs_all_its_tools_before_it_fails_and_names_last_what_failed(venv: Path) -> None:
    checked = make("check", f"VENV={venv}", FAILING="ruff lint-imports")

    assert checked.returncode != 0
    assert {call.split()[0] for call in calls(venv)} == set(TOOLS)
    assert all(f"what {name} found" in checked.stdout for name in TOOLS)
    reported = checked.stderr.partition("make check failed:\n")[2]
    assert [line.strip() for line in reported.splitlines()][:3] == [
        "lint",
        "format (make format mends it)",
        "import rules",
    ]
    assert "types" not in reported and "reference" not in reported
    assert "python -m tools.check_schemas" in calls(venv)


def test_check_passes_where_all_its_tools_do(venv: Path) -> None:
    checked = make("check", f"VENV={venv}")

    assert (checked.returncode, checked.stderr) == (0, "")


def test_format_orders_imports_and_formats(venv: Path) -> None:
    assert make("format", f"VENV={venv}").returncode == 0
    assert calls(venv) == ["ruff check --fix --select I .", "ruff format ."]


def test_ci_is_check_and_test(venv: Path) -> None:
    planned = make("--dry-run", "ci", f"VENV={venv}").stdout
    assert "mypy" in planned and "-m pytest" in planned


def test_scale_names_every_variable_that_is_no_service(tmp_path: Path) -> None:
    refused = make("scale", "paymnet=3", "order=2", "stock=1", f"STACK_RUN_DIR={tmp_path}", "STACK=local")

    assert refused.returncode != 0
    assert "Cannot scale" in refused.stderr and "paymnet" in refused.stderr and "stock" in refused.stderr
    assert "The services are order, payment, inventory, notification" in refused.stderr
    assert "STACK" not in refused.stderr
