"""Transactions take a share of the time at most; a service with little to do does not rest."""

from __future__ import annotations

import pytest

from eventbus.processing.pace import LONGEST, OWED, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def live(pace: Pace, clock: Clock, took: float, idle: float, turns: int = 200) -> list[float]:
    """The rest after each of so many transactions that begin ``idle`` seconds after the rest before."""
    rests = []
    for _ in range(turns):
        clock.now += took
        pace.took(took)
        rests.append(pace.rest())
        clock.now += rests[-1] + idle
    return rests


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_under_load_transactions_take_their_share_of_the_time(share: float) -> None:
    clock = Clock()
    rests = live(Pace(share, clock), clock, took=0.01, idle=0.0)
    assert 0.01 / (0.01 + rests[-1]) == pytest.approx(share)


def test_a_service_with_little_to_do_never_rests() -> None:
    clock = Clock()
    assert set(live(Pace(0.25, clock), clock, took=0.01, idle=0.04)) == {0.0}


def test_a_few_transactions_after_an_idle_time_go_at_once() -> None:
    clock = Clock()
    rests = live(Pace(0.5, clock), clock, took=0.01, idle=0.0, turns=20)
    assert rests[:8] == [0.0] * 8 and rests[-1] > 0


@pytest.mark.parametrize(("share", "most"), [(1 / 3, 0.05), (0.05, OWED / 0.05), (0.0001, LONGEST)])
def test_a_rest_has_an_end_however_long_a_transaction_took(share: float, most: float) -> None:
    clock = Clock()
    rests = live(Pace(share, clock), clock, took=3.0, idle=0.0, turns=3)
    assert max(rests) == pytest.approx(most)


def test_a_rest_is_over_when_its_time_has_passed() -> None:
    clock = Clock()
    pace = Pace(0.5, clock)
    live(pace, clock, took=0.02, idle=0.0)
    pace.took(0.02)
    clock.now += 1.01 * OWED / 0.5
    assert pace.rest() == 0.0


def test_with_a_share_of_one_there_is_no_rest() -> None:
    clock = Clock()
    assert max(live(Pace(1.0, clock), clock, took=0.02, idle=0.0)) == pytest.approx(0.0)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_what_is_no_share_of_the_time_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="of the time at most"):
        Pace(share, Clock())
