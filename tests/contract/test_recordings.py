"""What a log folds to changes with its fold version only: recordings hold it, and fail for whatever changes it.

No broker. A mutation is made in a copy of the sources, and checked as ``make check`` does it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventbus import Decider
from eventbus.schema_package import SchemaPackage
from examples.fraud.decider import Screening, screening_decider
from examples.fraud.messages import OrderCleared
from tools.recordings.__main__ import find, main
from tools.recordings.check import problems, record
from tools.recordings.recording import Log

ROOT = Path(__file__).resolve().parents[2]
FRAUD = screening_decider()
COPIED = ("services", "schemas", "libs", "examples", "tools")


def test_every_recording_holds() -> None:
    assert main(["--check"]) == 0


def test_every_own_log_is_recorded() -> None:
    classes = [cls for name in ("schemas", "examples.fraud") for cls in SchemaPackage.load(name).classes]
    assert {cls.topic for cls in classes if cls.topic.endswith(".events")} == {log.name for log in find()}


# Mutations of the sources.


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("sources")
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
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
    assert "set fold_version of its decider to 2" in result.stderr
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


# A small log, from its first draft on.


@pytest.fixture
def log(tmp_path: Path) -> Log:
    folder = tmp_path / "recordings"
    shutil.copytree(ROOT / "examples/fraud/recordings", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Log(FRAUD, ("schemas", "examples.fraud"), folder)


def other(fold_version: int, log: Log) -> Log:
    """The log under a fold that says "fine" of an order that was cleared."""

    def evolve(screening: Screening, event: Any) -> Screening:
        return Screening("fine") if isinstance(event, OrderCleared) else FRAUD.evolve(screening, event)

    changed: Decider[Screening] = replace(FRAUD, evolve=evolve, fold_version=fold_version)
    return replace(log, decider=changed)


def files(log: Log) -> dict[str, str]:
    return {str(path): path.read_text(encoding="utf-8") for path in log.folder.rglob("*.json")}


def draft(log: Log, number: int, *events: dict[str, Any]) -> None:
    log.path(number).write_text(json.dumps({"events": list(events)}), encoding="utf-8")


def cleared(order_id: str, **parts: Any) -> dict[str, Any]:
    record = {"orderId": order_id, "timestamp": 1_767_607_200_000}
    return {"schema": "OrderCleared.v1", "record": record, "headers": {"cause": "order.events-0-7"}, **parts}


def test_the_difference_is_shown_and_nothing_is_recorded_over_it(log: Log) -> None:
    before = files(log)

    [problem] = problems(other(1, log))

    assert problem.endswith('  -    "verdict": "OrderCleared"\n  +    "verdict": "fine"')
    with pytest.raises(ValueError, match="changed without a new fold version"):
        record(other(1, log))
    assert files(log) == before


def test_a_new_fold_version_adds_a_recording_and_keeps_the_old_ones(log: Log) -> None:
    before, second = files(log), other(2, log)

    assert problems(second) == [
        "fraud.events has fold version 2, which is not recorded yet: run `python -m tools.recordings --record`"
    ]
    assert record(second) == [f"{log.path(2)}: recorded as fold version 2"]

    assert problems(second) == []
    assert record(second) == []
    assert log.load(2)["events"] == log.load(1)["events"]
    assert log.load(2)["states"]["order-of-six"]["state"] == {"verdict": "fine"}
    assert files(log).items() >= {path: text for path, text in before.items() if "pinned" not in path}.items()


def test_a_fold_version_stands_for_one_fold_only(log: Log) -> None:
    record(other(2, log))

    assert "a number stands for one fold only, so take one above 2" in problems(log)[0]


@pytest.mark.parametrize("part", ["events", "states", "foldVersion"])
def test_a_recording_that_was_changed_is_named(log: Log, part: str) -> None:
    content = log.load(1)
    content[part] = 7 if part == "foldVersion" else type(content[part])()
    log.path(1).write_text(json.dumps(content), encoding="utf-8")

    assert "1.json was changed after it was recorded" in problems(log)[0]
    with pytest.raises(ValueError, match="was changed"):
        record(log)


def test_another_layout_of_a_recording_is_no_change(log: Log) -> None:
    log.path(1).write_text(json.dumps(log.load(1), indent=4), encoding="utf-8")

    assert problems(log) == []


def test_a_recording_that_is_gone_is_named(log: Log) -> None:
    log.path(1).unlink()

    assert "1.json is gone: bring it back" in problems(log)[0]


def test_an_event_in_no_recording_is_named_with_what_to_do(log: Log) -> None:
    shutil.rmtree(log.folder)
    log.path(1).parent.mkdir(parents=True)
    draft(log, 1, cleared("o1"))

    assert problems(log) == [
        f"{log.path(1)}: drafts of fraud.events. Complete and pin them with `python -m tools.recordings --record`"
    ]
    record(log)

    [problem] = problems(log)
    assert problem.startswith(
        f"no recording of fraud.events holds FraudSuspected.v1: write {log.path(2)} with"
    )


def test_a_draft_is_completed_as_a_leader_writes(log: Log) -> None:
    draft(log, 2, cleared("o1"), cleared("o2"))

    record(log)

    events = log.load(2)["events"]
    assert events[0]["headers"] == {
        "ce_specversion": "1.0",
        "ce_id": "o1-1",
        "ce_type": "OrderCleared",
        "ce_source": "/fraud",
        "ce_time": "2026-01-05T10:00:00.000Z",
        "ce_subject": "o1",
        "content-type": "application/avro",
        "correlationid": "o1",
        "keyversion": "1",
        "cause": "order.events-0-7",
    }
    assert bytes.fromhex(events[0]["value"])[:5] == b"\0\0\0\x03\xea"
    assert problems(log) == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (
            cleared("o1", schema="OrderCreated.v2"),
            "event 1: .*OrderCreated.v2 is no released event of fraud.events",
        ),
        (cleared("o1", headers={}), "event 1: .*it names no cause"),
        (cleared("o1", headers={"cause": "order.events-1-7"}), "event 1, .*stands in another partition"),
        (cleared("o1", record={"orderId": "o1"}), "event 1: .*timestamp"),
        (cleared("o1", value="00"), "event 1: .*its value is not its record"),
        ({"schema": "OrderCleared.v1"}, "event 1: .*record"),
    ],
)
def test_a_draft_that_no_leader_can_have_written_is_refused(
    log: Log, event: dict[str, Any], reason: str
) -> None:
    draft(log, 2, event)
    before = files(log)

    with pytest.raises(ValueError, match=f"2.json: .*{reason}"):
        record(log)

    assert files(log) == before


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"events": 7}'])
def test_a_draft_that_is_none_is_refused_by_its_name(log: Log, content: str) -> None:
    log.path(2).write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match=r"2\.json"):
        record(log)


def test_a_file_that_is_not_named_by_a_number_is_named(log: Log) -> None:
    (log.folder / log.name / "notes.json").write_text("{}", encoding="utf-8")

    with pytest.raises(ValueError, match=r"notes\.json: a recording is named by its number"):
        problems(log)
