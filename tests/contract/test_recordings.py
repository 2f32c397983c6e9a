"""What a log folds to changes with its fold version only: recordings hold it, and fail for whatever changes it.

No broker. What a change of the sources leads to: ``test_recorded_folds.py``.
"""

from __future__ import annotations

import json
import shutil
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
from tools.registry import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
FRAUD = screening_decider()


def test_every_recording_holds() -> None:
    assert main(["--check"]) == 0


def test_every_own_log_is_recorded() -> None:
    classes = [cls for name in SCHEMAS for cls in SchemaPackage.load(name).classes]
    assert {cls.topic for cls in classes if cls.topic.endswith(".events")} == {log.name for log in find()}


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
    return {
        "schema": "OrderCleared.v1",
        "record": record,
        "headers": {"ce_cause": "order.events-0-7"},
        **parts,
    }


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
        "ce_correlationid": "o1",
        "ce_keyversion": "1",
        "ce_cause": "order.events-0-7",
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
