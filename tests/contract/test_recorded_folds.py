"""Whatever changes what a log folds to fails ``make check``, and what does not change it passes.

No broker. A mutation is made in a copy of the sources, and checked there as ``make check`` does it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("services", "schemas", "libs", "examples", "tools")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("sources")
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "services.toml", copy)
    return copy


def checked(sources: Path, file: str, change: Callable[[str], str]) -> subprocess.CompletedProcess[str]:
    """What ``--check`` says of the sources with one file changed."""
    path = sources / file
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, "the mutation changes nothing"
    path.write_text(after, encoding="utf-8")
    try:
        return subprocess.run(
            [sys.executable, "-B", "-m", "tools.recordings", "--check"],
            cwd=sources,
            env={"PYTHONPATH": f"{sources}:{sources / 'libs' / 'eventbus'}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "file", "old", "new", "log"),
    [
        (
            "evolve",
            "services/payment/decider.py",
            "replace(payment, in_doubt=False)",
            "replace(payment, in_doubt=True)",
            "payment.events",
        ),
        ("an upcast", "schemas/upcasts.py", '"unitPrice": 0}', '"unitPrice": 1}', "order.events"),
        (
            "an imported helper",
            "services/inventory/answers.py",
            'RELEASED = "RELEASED"',
            'RELEASED = "GIVEN_BACK"',
            "inventory.events",
        ),
        (
            "a projection",
            "services/inventory/stock_projection.py",
            "moved = -quantity",
            "moved = quantity",
            "stock.events",
        ),
        (
            "the tables of a projection",
            "services/inventory/stock_projection.py",
            "updated_at INTEGER NOT NULL)",
            "updated_at INTEGER NOT NULL, shelf TEXT GENERATED ALWAYS AS ('main') VIRTUAL)",
            "stock.events",
        ),
        (
            "a field of the state",
            "services/payment/decider.py",
            "    in_doubt: bool = False\n",
            "    in_doubt: bool = False\n    note: str = ''\n",
            "payment.events",
        ),
        (
            "the deadline",
            "services/order/decider.py",
            "deadline=deadline_of,",
            "deadline=lambda order: order.deadline_at,",
            "order.events",
        ),
    ],
)
def test_a_changed_fold_without_a_new_version_fails(
    sources: Path, what: str, file: str, old: str, new: str, log: str
) -> None:
    result = checked(sources, file, lambda text: text.replace(old, new))

    assert result.returncode == 1, f"{what} was changed, and nothing noticed"
    assert f"the state of {log} changed without a new fold version" in result.stderr
    assert re.search(r"set fold_version of its decider to [2-9]", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "file", ["services/payment/decider.py", "services/inventory/stock_projection.py", "schemas/upcasts.py"]
)
def test_a_comment_or_another_layout_changes_no_fold(sources: Path, file: str) -> None:
    result = checked(sources, file, lambda text: f"# A comment.\n\n{text}".replace("\n\n\n", "\n\n\n\n"))

    assert (result.returncode, result.stderr) == (0, "")


def test_an_event_that_today_s_code_cannot_fold_is_named(sources: Path) -> None:
    result = checked(
        sources,
        "services/payment/decider.py",
        lambda text: text.replace(
            "case ChargeWithdrawn():\n            return", "case None:\n            return"
        ),
    )

    assert result.returncode == 1
    assert "payment.events/1.json: today's code cannot fold event 15, ChargeWithdrawn.v1" in result.stderr


def test_a_service_without_recordings_is_told_what_to_write(sources: Path) -> None:
    recordings = sources / "examples/fraud/recordings/fraud.events"
    shutil.move(recordings, sources / "aside")
    (sources / "examples/fraud/recordings/pinned.json").unlink()
    try:
        result = checked(sources, "schemas/upcasts.py", lambda text: text + "\n")
    finally:
        shutil.move(sources / "aside", recordings)
        shutil.copy(ROOT / "examples/fraud/recordings/pinned.json", recordings.parent)

    assert result.returncode == 1
    assert result.stderr.startswith(
        "no recording of fraud.events holds FraudSuspected.v1, OrderCleared.v1: "
        "write examples/fraud/recordings/fraud.events/1.json with"
    )


def test_recordings_of_a_log_that_no_decider_has_are_named(sources: Path) -> None:
    recordings = sources / "examples/fraud/recordings"
    shutil.copytree(recordings / "fraud.events", recordings / "gone.events")
    try:
        result = checked(sources, "schemas/upcasts.py", lambda text: text + "\n")
    finally:
        shutil.rmtree(recordings / "gone.events")

    assert result.returncode == 1
    assert result.stderr == ("examples/fraud/recordings: no decider of the service has the log gone.events\n")
