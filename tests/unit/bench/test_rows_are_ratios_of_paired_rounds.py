"""What a row says: the median of the rounds' ratios, how far they lie apart, and whether the goal is met."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench.guard import BOUNDS, broken
from bench.measurements import ALL, choose, only
from bench.processes import NotMeasured
from bench.result import Better, Round, Row, as_json, from_json
from bench.run import Run
from bench.table import figure, table

COST = Row(
    "cost",
    "CPU of an order",
    "ms",
    Better.LOWER,
    "CPU of a POST",
    8.0,
    [Round(9.0, 1.0), Round(14.0, 2.0), Round(40.0, 4.0)],
    {"by process": {"order": 2.5}},
)
RATE = replace(COST, name="rate", unit="/s", better=Better.HIGHER, goal=0.7)


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    assert COST.ratio == 9.0
    assert COST.spread == (7.0, 10.0)
    assert (COST.ours, COST.theirs) == (14.0, 2.0)


@pytest.mark.parametrize(
    ("row", "goal", "met"),
    [(COST, 8.0, False), (COST, 9.0, True), (COST, None, None), (RATE, 9.0, True), (RATE, 9.1, False)],
)
def test_a_goal_is_a_ceiling_where_lower_is_better_and_a_floor_where_higher_is(
    row: Row, goal: float | None, met: bool | None
) -> None:
    assert replace(row, goal=goal).met is met


@pytest.mark.parametrize(
    "rounds", [[], [Round(1.0, 0.0)], [Round(float("nan"), 1.0)], [Round(float("inf"), 1.0)]]
)
def test_rounds_that_give_no_ratio_are_refused(rounds: list[Round]) -> None:
    with pytest.raises(ValueError, match="cost"):
        replace(COST, rounds=rounds)


def test_json_of_rows_reads_back_as_the_same_rows() -> None:
    text = as_json([COST, RATE], about={"machine": "a slow one"})

    assert from_json(text) == [COST, RATE]
    assert json.loads(text)["about"] == {"machine": "a slow one"}
    assert json.loads(text)["rows"][0]["ratio"] == 9.0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{"name": "cost"}]}', '{"rows": 3}'])
def test_other_json_is_no_rows(text: str) -> None:
    with pytest.raises(ValueError):
        from_json(text)


def test_the_table_says_for_each_row_what_it_compares_and_whether_it_is_met() -> None:
    text = table([COST, RATE, replace(COST, name="told", goal=None)], {"machine": "a slow one"})

    lines = {line.split()[0]: line for line in text.splitlines() if line and not line.startswith(" ")}
    assert lines["machine:"].endswith("a slow one")
    assert (
        "14.0 ms" in lines["cost"] and "7.00 to 10.0" in lines["cost"] and lines["cost"].endswith("NOT MET")
    )
    assert ">= 0.7" in lines["rate"] and lines["rate"].endswith("met") and "NOT" not in lines["rate"]
    assert "met" not in lines["told"].lower()
    assert "  reference: CPU of a POST" in text and "  by process: {'order': 2.5}" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.126, "0.13"), (12.34, "12.3"), (1234.5, "1,234"), (-150.2, "-150")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_guard_fails_only_if_every_round_is_beyond_the_bound() -> None:
    assert broken([COST], {"cost": 7.0}) == []
    (sentence,) = broken([COST], {"cost": 6.9})
    assert "cost" in sentence and "7.00 to 10.00" in sentence
    assert broken([RATE], {"rate": 10.0}) == []
    assert len(broken([RATE], {"rate": 10.1})) == 1


def test_the_guard_fails_if_a_row_was_not_measured() -> None:
    assert broken([], {"cost": 7.0}) == ["cost was not measured."]


def test_each_bound_of_the_guard_is_of_a_row_that_is_measured() -> None:
    for name in BOUNDS:
        assert choose([name], full=False, base=False)


def test_a_short_run_has_the_rows_that_matter_most_and_a_full_one_all() -> None:
    assert [one.name for one in choose([], full=False, base=False)] == ["cpu-per-order", "at-100"]
    assert choose([], full=True, base=False) == [one for one in ALL if not one.against_base]
    assert choose([], full=True, base=True) == list(ALL)
    assert all(one.against_base for one in choose([], full=False, base=True))


def test_rows_are_chosen_by_their_names_or_by_how_they_begin() -> None:
    assert [one.name for one in choose(["at-100-p99", "idle"], full=False, base=False)] == ["idle", "at-100"]
    assert only([COST, RATE, replace(COST, name="cost-of-two")], ["cost"]) == [
        COST,
        replace(COST, name="cost-of-two"),
    ]
    assert only([COST, RATE], []) == [COST, RATE]


def test_a_row_that_nobody_makes_is_named_and_so_is_the_commit_that_is_lacking() -> None:
    with pytest.raises(NotMeasured, match="at-1000"):
        choose(["at-1000"], full=False, base=False)
    with pytest.raises(NotMeasured, match="BASE="):
        choose(["base-sustained"], full=False, base=False)


def test_ours_and_the_reference_take_turns_and_the_warm_up_does_not_count(tmp_path: Path) -> None:
    calls: list[tuple[str, float]] = []

    def call(name: str, seconds: float) -> int:
        calls.append((name, seconds))
        return len(calls)

    run = Run(tmp_path, ExitStack(), rounds=3, seconds=8.0)
    found = run.pairs("title", lambda s: call("ours", s), lambda s: call("bare", s), lambda a, b: f"{a} {b}")

    assert [name for name, _ in calls] == ["bare", "ours", "ours", "bare", "bare", "ours", "ours", "bare"]
    assert [seconds for _, seconds in calls] == [4.0] * 2 + [8.0] * 6
    assert found == [(3, 4), (6, 5), (7, 8)]
