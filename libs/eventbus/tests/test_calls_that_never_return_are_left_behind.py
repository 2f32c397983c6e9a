"""Calls that may never come back are left behind once the brokers are heard, and not before."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from eventbus.kafka.guard import GRACE, LEFT_BEHIND, Guard, Stuck
from eventbus.model.errors import NeedsRestart


class Hanging:
    """A client whose calls come back once it is let go."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def call(self, value: int = 1) -> int:
        self.gone.wait(20)
        return value


@pytest.fixture
def client() -> Iterator[Hanging]:
    client = Hanging()
    yield client
    client.gone.set()


def guard(hears: Callable[[], bool] = lambda: True, pace: float = 10.0) -> Guard:
    """A guard whose clock goes ``pace`` seconds on at each look."""
    ticks = count()
    return Guard(hears, monotonic=lambda: next(ticks) * pace)


def test_what_a_call_returns_or_raises_comes_through() -> None:
    made = guard()
    assert made(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        made(divmod, 7, 0)


def test_a_call_is_given_up_once_the_brokers_are_heard_and_not_before(client: Hanging) -> None:
    answers = [False, False, True, False, False, True, True]
    left = iter(answers)
    made = guard(lambda: next(left))
    with pytest.raises(Stuck, match="call did not come back"):
        made(client.call)
    assert next(left, None) is None, "one answer that is followed by none says nothing"
    assert made(divmod, 7, 2) == (3, 1), "the next call is made on another thread"


def test_a_call_that_comes_back_late_is_no_failure(client: Hanging) -> None:
    threading.Timer(0.3, client.gone.set).start()
    assert guard(pace=0.0)(client.call, 5) == 5


def test_what_is_slow_each_time_gets_more_and_more_time(client: Hanging) -> None:
    made = guard(pace=0.4)
    for grace in ("1 s", "2 s", "4 s"):
        with pytest.raises(Stuck, match=grace):
            made(client.call)
    made.well()
    with pytest.raises(Stuck, match=f"{GRACE:g} s"):
        made(client.call)


def test_a_call_may_be_given_more_time_than_others(client: Hanging) -> None:
    made = guard(pace=1.5)
    with pytest.raises(Stuck, match="3 s"):
        made(client.call, grace=3.0)
    with pytest.raises(Stuck, match="2 s"):
        made(client.call, grace=1.0)


def test_too_many_calls_left_behind_end_the_process(client: Hanging) -> None:
    made = guard(pace=100.0)
    for _ in range(LEFT_BEHIND):
        with pytest.raises(Stuck):
            made(client.call)
    with pytest.raises(NeedsRestart, match=f"{LEFT_BEHIND} calls before it"):
        made(client.call)
    client.gone.set()


def test_each_call_left_behind_may_fence_its_successor_once(client: Hanging) -> None:
    made = guard(pace=100.0)
    assert not made.ghost()
    with pytest.raises(Stuck):
        made(client.call)
    assert (made.ghost(), made.ghost()) == (True, False)


def test_a_client_whose_call_failed_is_let_go_at_once() -> None:
    class Failing:
        def call(self) -> None:
            raise ValueError

    client, made = Failing(), guard()
    gone = weakref.ref(client)
    with pytest.raises(ValueError):
        made(client.call)
    del client
    made(divmod, 1, 1)
    assert gone() is None, "a producer that failed must not live on until the garbage is collected"
