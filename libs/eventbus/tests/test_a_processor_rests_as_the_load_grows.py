"""Transactions take a share of the time at most; a service with little to do does not rest."""

from __future__ import annotations

import pytest

from eventbus.processing.pace import LONGEST, TAKEN, WORTH, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def live(pace: Pace, clock: Clock, took: float, rate: float, turns: int = 400) -> list[float]:
    """The rest after each of so many transactions, each with what has come since the one before, at ``rate`` a
    second: one message at least, which is waited for."""
    rests, decided = [], clock.now
    for _ in range(turns):
        clock.now = max(clock.now, decided + 1 / rate)
        messages, decided = round((clock.now - decided) * rate), clock.now
        clock.now += took
        pace.took(took, messages)
        rests.append(pace.rest())
        clock.now += rests[-1]
    return rests


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_under_load_transactions_take_their_share_of_the_time(share: float) -> None:
    clock = Clock()
    rests = live(Pace(share, clock), clock, took=0.01, rate=1000)
    assert 0.01 / (0.01 + rests[-1]) == pytest.approx(share)


def test_a_service_with_little_to_do_never_rests() -> None:
    clock = Clock()
    every = 0.01 / 0.25
    assert set(live(Pace(0.25, clock), clock, took=0.01, rate=0.9 * WORTH / every)) == {0.0}


def test_the_smaller_the_share_the_fewer_messages_are_gathered_for() -> None:
    """Who waits for nobody gathers what comes slowly too."""
    clock = Clock()
    assert live(Pace(0.05, clock), clock, took=0.01, rate=20)[-1] > 0
    assert live(Pace(0.25, clock), clock, took=0.01, rate=20)[-1] == 0


def test_after_an_idle_time_the_first_message_is_answered_at_once() -> None:
    clock = Clock()
    pace = Pace(0.25, clock)
    assert live(pace, clock, took=0.01, rate=1000)[-1] > 0
    clock.now += 10
    pace.took(0.01, 1)
    assert pace.rest() == 0


def test_a_single_long_transaction_hardly_changes_the_rest() -> None:
    clock = Clock()
    pace = Pace(0.5, clock)
    usual = live(pace, clock, took=0.01, rate=1000)[-1]
    pace.took(5.0, 1)
    assert pace.rest() < 1.1 * usual


@pytest.mark.parametrize(("share", "every"), [(0.2, TAKEN / 0.2), (0.05, TAKEN / 0.05), (0.0001, LONGEST)])
def test_a_rest_has_an_end_however_long_transactions_take(share: float, every: float) -> None:
    clock = Clock()
    assert max(live(Pace(share, clock), clock, took=3.0, rate=100, turns=3)) == pytest.approx(every - TAKEN)


def test_a_rest_is_over_when_its_time_has_passed() -> None:
    clock = Clock()
    pace = Pace(0.5, clock)
    rest = live(pace, clock, took=0.02, rate=1000)[-1]
    pace.took(0.02, 10)
    clock.now += 0.9 * rest
    assert 0 < pace.rest() < 0.2 * rest
    clock.now += 0.2 * rest
    assert pace.rest() == 0.0


def test_with_a_share_of_one_there_is_no_rest() -> None:
    clock = Clock()
    assert max(live(Pace(1.0, clock), clock, took=0.01, rate=1000)) == pytest.approx(0.0)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_what_is_no_share_of_the_time_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="of the time at most"):
        Pace(share, Clock())
