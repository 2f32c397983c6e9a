"""The load generator without a network: what it plans to send, and what it says it measured."""

from __future__ import annotations

import json

import pytest

from tools.arrivals import Settled
from tools.load.__main__ import main
from tools.load.generate import Plan
from tools.load.measure import Measured, Sent, as_json, table
from tools.load.rounds import line, medians


def test_orders_take_turns_with_the_products() -> None:
    plan = Plan(rate=10, seconds=2, items=2, products=3)
    assert plan.orders == 20
    bodies = [json.loads(plan.body(number)) for number in range(2)]
    assert [[item["productId"] for item in body["items"]] for body in bodies] == [
        ["load-000", "load-001"],
        ["load-002", "load-000"],
    ]
    assert bodies[0]["paymentMethod"] == "tok_ok"


def test_latency_counts_from_when_a_request_was_due() -> None:
    measured = Measured(rate=1.0)
    measured.sent = [
        Sent(due=0.0, sent=0.0, answered=0.01, outcome="202", order="a"),
        Sent(due=1.0, sent=3.0, answered=3.01, outcome="202", order="b"),
        Sent(due=2.0, sent=4.0, answered=4.5, outcome="503", order=""),
        Sent(due=3.0, sent=5.0, answered=5.5, outcome="202", order="c"),
    ]
    measured.settled = {"a": Settled("CONFIRMED", 0.05), "b": Settled("CONFIRMED", 3.05)}
    result = measured.result()
    assert result["ms"]["POST to CONFIRMED"] == {"p50": 50.0, "p95": 2050.0, "p99": 2050.0, "max": 2050.0}
    assert result["ms"]["sent late by"]["max"] == 2000.0
    assert result["answers"] == {"202": 3, "503": 1}
    assert result["notSettled"] == 1
    assert result["achievedRate"] == 0.6
    assert "4 orders at 0.6/s (asked for 1/s): 3 202, 1 503, 2 CONFIRMED, 1 not settled" in table(result)
    assert json.loads(as_json(result)) == result


def test_nothing_measured_is_no_error() -> None:
    assert "0 orders at 0/s" in table(Measured(rate=1.0).result())


@pytest.mark.parametrize(
    "options", [["--rate", "0"], ["--seconds", "-1"], ["--items", "3", "--products", "2"]]
)
def test_nonsense_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 2
    assert "must be positive" in capsys.readouterr().err


def test_bad_orders_are_spread_evenly_and_count_in_no_latency() -> None:
    plan = Plan(rate=10, seconds=10, bad_share=0.05)
    bad = [number for number in range(plan.orders) if plan.bad(number)]
    assert bad == [19, 39, 59, 79, 99]
    methods = [json.loads(plan.body(number))["paymentMethod"] for number in (18, 19)]
    assert methods == ["tok_ok", "tok_unavailable"]
    measured = Measured(rate=1.0)
    measured.sent = [
        Sent(due=0.0, sent=0.0, answered=0.01, outcome="202", order="a"),
        Sent(due=1.0, sent=1.0, answered=1.01, outcome="202", order="b", bad=True),
    ]
    measured.settled = {"a": Settled("CONFIRMED", 0.05)}
    result = measured.result()
    assert (result["bad"], result["notSettled"]) == (1, 0)
    assert result["ms"]["POST to CONFIRMED"]["max"] == 50.0
    assert "0 not settled (and 1 that could not be paid)" in table(result)


@pytest.mark.parametrize("share", ["-0.1", "1"])
def test_not_all_may_be_bad(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bad-share", share]) == 2
    assert "--bad-share" in capsys.readouterr().err


def test_rounds_are_compared_by_their_p99() -> None:
    found = [{"p50": 10.0, "p99": 40.0}, {"p50": 12.0, "p99": 90.0}, {"p50": 11.0, "p99": 50.0}]
    assert medians(found) == {"p50": 11.0, "p99": 50.0}
    row = line("median", {"without": {"p50": 10.0, "p99": 40.0}, "with": medians(found)})
    assert " ".join(row.split()) == (
        "median without: p50 10.0 p99 40.0 ms with: p50 11.0 p99 50.0 ms p99 x 1.25"
    )
