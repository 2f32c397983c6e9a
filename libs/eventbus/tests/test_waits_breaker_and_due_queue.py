"""The parts of ordered retry one by one: policy, breaker, records, due queue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from eventbus import Decider, Retryable
from eventbus.model.folding import Folded
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.due import DueQueue
from eventbus.retry.breaker import Breaker
from eventbus.retry.parked import Parked, State
from eventbus.retry.policy import RetryPolicy
from eventbus.state.store import Store

LOG, RETRY = "x.events", "x.retry"
RAW = Raw("t", 1, 7, b"k", b"\0value", [("ce_id", b"1"), ("odd", b"\xff\0"), ("odd", b"")], 99)
PARKED = Parked(RAW, LOG, "k", 1, State.WAITING, 2, 5_000, 4_000)


@dataclass(frozen=True)
class Life:
    ends: int | None = None


DECIDER: Decider[Life] = Decider(
    log=LOG,
    inputs=(),
    initial=Life(),
    decide=lambda message, state: [],
    evolve=lambda state, event: state,
    deadline=lambda life: life.ends,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.sqlite", [DECIDER], retry=RETRY)


def put(store: Store, *waiting: Parked) -> None:
    store.write({}, [], {}, [(RETRY, parked) for parked in waiting])


def test_waits_double_up_to_the_longest_and_jitter_takes_up_to_half() -> None:
    policy = RetryPolicy(attempts=9, backoff=1.0, longest=5.0)
    assert [policy.wait(n, 0.0) for n in range(1, 6)] == [1_000, 2_000, 4_000, 5_000, 5_000]
    assert [policy.wait(n, 1.0) for n in range(1, 4)] == [500, 1_000, 2_000]


def test_a_record_says_all_there_is_to_know() -> None:
    parked = PARKED.because(Retryable("é away"))
    record = Raw("x.retry", 1, 0, b"t-1-7", RAW.value, parked.headers(), 0)
    assert Parked.from_record(record) == parked
    assert (parked.exception, parked.message) == ("Retryable", "é away")
    assert "Retryable: é away" in parked.stacktrace


@pytest.mark.parametrize("missing", ["__eventbus.retry.sequence", "__eventbus.errors.offset"])
def test_what_is_no_record_of_a_processor_is_told(missing: str) -> None:
    headers = [(name, value) for name, value in PARKED.headers() if name != missing]
    with pytest.raises(KeyError):
        Parked.from_record(Raw("x.retry", 1, 0, b"t-1-7", b"", headers, 0))


class TestBreaker:
    def test_one_bad_key_never_opens_it(self) -> None:
        breaker = Breaker(threshold=3)
        for now in range(0, 100_000, 100):
            breaker.failure(Entity("l", "a"), now)
            breaker.failure(Entity("l", "b"), now)
        assert not breaker.is_open

    def test_different_keys_that_fail_for_a_while_open_it(self) -> None:
        breaker, changes = Breaker(threshold=3), list[bool]()
        breaker.changed = changes.append
        for now, key in ((0, "a"), (300, "b"), (499, "c")):
            breaker.failure(Entity("l", key), now)
        assert changes == [], "some bad ones in a row do occur among many good ones"
        breaker.failure(Entity("l", "a"), 500)
        assert changes == [True]
        breaker.success()
        assert changes == [True, False]

    def test_a_success_between_begins_the_count_anew(self) -> None:
        breaker = Breaker(threshold=3)
        for now in range(0, 60_000, 1_000):
            breaker.failure(Entity("l", f"{now}"), now)
            breaker.failure(Entity("l", f"{now} too"), now + 900)
            breaker.success()
        assert not breaker.is_open

    def test_a_key_that_failed_while_others_did_not_says_nothing_any_more(self) -> None:
        breaker, changes = Breaker(threshold=2, streak=0), list[bool]()
        breaker.changed = changes.append
        breaker.failure(Entity("l", "bad"), 0)
        breaker.success(Entity("l", "good"))
        for now in range(1_000, 9_000, 1_000):
            breaker.failure(Entity("l", "bad"), now)
            breaker.failure(Entity("l", "new"), now)
        assert changes == []
        breaker.success(Entity("l", "bad"))
        for key in ("bad", "third"):
            breaker.failure(Entity("l", key), 9_000)
        assert changes == [True], "one that has succeeded counts again"

    def test_at_first_it_asks_about_many_keys_that_may_be_good_and_then_about_a_few_a_second(self) -> None:
        breaker = opened()
        begun = []
        for now in range(0, 60_000, 100):
            untried, _ = breaker.room(now, under_way=0)
            breaker.probed(untried)
            begun.append(untried)
        assert max(begun) == breaker.a_turn
        assert sum(begun[:30]) > breaker.burst * 0.9, "a good key among many bad ones is found within 3 s"
        assert sum(begun) <= breaker.burst + 60 * breaker.a_second + 1, "an outage makes no flood"
        assert sum(begun[300:]) <= 30 * breaker.a_second + 1

    def test_about_keys_that_have_failed_it_asks_a_few_a_second_from_the_first(self) -> None:
        breaker, asked = opened(), 0
        for now in range(0, 10_000, 50):
            _, again = breaker.room(now, under_way=0)
            breaker.probed(0, again)
            asked += again
        assert 10 * breaker.a_second - 3 <= asked <= 10 * breaker.a_second + 1
        assert breaker.room(10**7, 0)[1] == 1, "and saves none up"

    def test_calls_under_way_leave_less_room(self) -> None:
        breaker = opened()
        assert breaker.room(1_000, under_way=breaker.at_once - 3) == (3, 1)
        assert breaker.room(1_000, under_way=breaker.at_once + 200) == (0, 0)

    def test_it_knows_which_keys_may_be_good(self) -> None:
        breaker = opened()
        assert not breaker.untried(Entity("l", "a"))
        assert breaker.untried(Entity("l", "c"))
        breaker.success(Entity("l", "c"))
        assert not breaker.untried(Entity("l", "a")), "known to be bad for a reason of its own"
        breaker.success(Entity("l", "a"))
        assert breaker.untried(Entity("l", "a"))

    def test_a_clock_that_goes_back_takes_nothing_away(self) -> None:
        breaker = opened(now=50_000)
        breaker.probed(breaker.burst)
        assert breaker.room(0, 0)[0] == 0
        assert breaker.room(1_000, 0)[0] > 0


def opened(now: int = 0) -> Breaker:
    breaker = Breaker(threshold=2, streak=0)
    breaker.failure(Entity("l", "a"), now)
    breaker.failure(Entity("l", "b"), now)
    assert breaker.is_open
    return breaker


def test_a_due_queue_hands_out_each_key_when_it_is_due_and_once(store: Store) -> None:
    queue = DueQueue(store)
    for key, due in (("b", 2_000), ("a", 1_000), ("c", 2_500)):
        queue.note(Entity(LOG, key), [replace(PARKED, key=key, due=due)])
    assert queue.due(999, 9) == []
    assert queue.due(2_000, 1) == [(LOG, "a")]
    assert queue.due(2_000, 9) == [(LOG, "b")]
    queue.note(Entity(LOG, "c"), [replace(PARKED, key="c", due=3_000)])
    assert queue.due(2_999, 9) == [], "only the last word on a key counts"
    assert queue.due(3_000, 9) == [(LOG, "c")]
    queue.note(Entity(LOG, "a"), [replace(PARKED, state=State.DEAD)])
    assert queue.due(10**9, 9) == []


def test_probes_take_keys_by_chance_and_not_in_the_order_of_the_queue(store: Store) -> None:
    """Bad keys that came first must not be all that is asked about."""
    queue, dice = DueQueue(store), Random(1).random
    for n in range(100):
        queue.note(Entity(LOG, f"{n}"), [replace(PARKED, key=f"{n}", due=10_000 + n)])
    first = queue.some(10, lambda entity, due: True, dice)
    assert len(set(first)) == 10 and max(int(key) for _, key in first) > 50
    assert not set(first) & set(queue.some(90, lambda entity, due: True, dice)), "each is handed out once"
    assert queue.some(1, lambda entity, due: True, dice) == []
    for n in range(4):
        queue.note(Entity(LOG, f"{n}"), [replace(PARKED, key=f"{n}", due=1_000 * n)])
    wanted = queue.some(9, lambda entity, due: due <= 1_000 and entity[1] != "0", dice)
    assert wanted == [(LOG, "1")]
    assert queue.due(10**9, 9) == [(LOG, "0"), (LOG, "2"), (LOG, "3")]


def test_a_due_queue_is_made_anew_for_what_is_led_and_forgets_the_rest(store: Store) -> None:
    other = replace(PARKED, raw=RAW._replace(partition=2), key="z")
    second = replace(PARKED, raw=RAW._replace(offset=8), sequence=2, due=0)
    put(store, PARKED, second, other)
    queue = DueQueue(store)
    queue.rebuild([1, 2])
    assert queue.due(10**9, 9) == [(LOG, "k"), (LOG, "z")]
    queue.rebuild([2])
    assert queue.due(10**9, 9) == [(LOG, "z")]
    queue.rebuild([])
    assert queue.due(10**9, 9) == []


def test_deadlines_come_once_of_what_is_led_and_again_after_an_abort(store: Store) -> None:
    for key, partition, ends in (("a", 0, 100), ("b", 1, 100), ("c", 0, 900), ("d", 0, None)):
        store.write({Entity(LOG, key): (partition, Folded(Life(ends), 1))}, [], {})
    queue = DueQueue(store, look_every=10)
    assert queue.deadlines(99, [0]) == []
    assert queue.deadlines(105, [0]) == [], "it is looked up every so often"
    assert queue.deadlines(110, [0]) == [(Entity(LOG, "a"), 100)]
    assert queue.deadlines(120, [0]) == []
    queue.forget_answered()
    assert queue.deadlines(130, [0, 1]) == [(Entity(LOG, "a"), 100), (Entity(LOG, "b"), 100)]
    store.write({Entity(LOG, "a"): (0, Folded(Life(), 2))}, [], {})
    queue.forget_answered()
    assert queue.deadlines(140, [0]) == []


def test_what_waits_is_known_by_its_coordinates_until_for_ever(store: Store) -> None:
    parked = store.parked
    assert parked.known(RAW.coordinates) is None
    put(store, PARKED)
    assert parked.known(RAW.coordinates) is State.WAITING
    held = parked.held("k")
    assert held and (held.service, held.attempts, held.since, held.dead) == ("x", 2, 4_000, False)
    assert parked.keys() == 1
    put(store, replace(PARKED, state=State.RESOLVED))
    assert parked.known(RAW.coordinates) is State.RESOLVED
    assert parked.queue(Entity(LOG, "k")) == []
    assert (parked.held("k"), parked.keys()) == (None, 0)


def test_what_waits_elsewhere_is_shown_but_not_decided_here(store: Store) -> None:
    store.write({}, [], {}, [("y.retry", replace(PARKED, state=State.DEAD))])
    held = store.parked.held("k")
    assert held and (held.service, held.dead) == ("y", True)
    assert store.parked.queue(Entity(LOG, "k")) == []
    assert store.parked.heads([1]) == []
