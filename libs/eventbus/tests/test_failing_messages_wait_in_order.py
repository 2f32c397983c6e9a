"""What becomes of a message that fails, and of what comes after it: turns on a store, without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eventbus import DeadlinePassed, Message, Mismatch, Outcome, Poison, Request, Retryable
from eventbus.admin import Discard, Redrive
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.turn import Turn
from eventbus.processing.work import WorkItem
from eventbus.retry.parked import ERRORS, Parked, State
from parcels.messages import ParcelWeighed
from testbed.bench import DLQ, LOG, REACTOR, RETRY, Bench, Life, lost, sent, weighed, with_giving_up

WAITING, DEAD, RESOLVED = State.WAITING, State.DEAD, State.RESOLVED
AWAY = Retryable("away")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def park(bench: Bench, key: str = "a") -> None:
    bench.feed(sent(key))
    bench.answer(key, AWAY)


def fail_for_good(bench: Bench, key: str = "a") -> None:
    park(bench, key)
    for wait in (1_000, 2_000):
        assert bench.wait(wait) == [key]
        bench.answer(key, AWAY)


def test_a_key_that_fails_waits_and_others_go_on_at_once(bench: Bench) -> None:
    bench.feed(sent("a"), sent("b"), weighed("b"), weighed("a"))
    bench.answer("a", AWAY)
    bench.answer("b")

    assert bench.story("b") == ("CourierBooked", "weighed 10")
    assert bench.story("a") == ()
    assert bench.waits("a") == [("ParcelSent", WAITING), ("ParcelWeighed", WAITING)]
    assert bench.context.offsets.unfinished() == 0, "nothing holds the partition's offset back"


def test_what_comes_later_for_the_key_is_decided_in_its_order(bench: Bench) -> None:
    park(bench)
    bench.feed(weighed("a", 1), weighed("a", 2))
    bench.feed(weighed("a", 5))
    assert bench.story("a") == ()
    assert bench.wait(999) == []
    assert bench.wait(1) == ["a"]
    assert bench.asked() == ["a"]
    bench.feed(weighed("a", 10))
    bench.answer("a")

    assert bench.story("a") == ("CourierBooked", "weighed 10", "weighed 5", "weighed 2", "weighed 1")
    assert bench.waits("a") == []
    bench.feed(weighed("a", 3))
    assert bench.story("a")[-1] == "weighed 3"


def test_waits_grow_and_the_last_failure_makes_a_dead_letter(bench: Bench) -> None:
    fail_for_good(bench)
    assert bench.waits("a") == [("ParcelSent", DEAD)]
    assert bench.wait(10**9) == []
    (letter,) = bench.topic(DLQ)
    assert (letter.key, letter.value) == (b"a", bench.inputs[0].value)
    assert [h for h in letter.headers if not h[0].startswith(ERRORS)] == bench.inputs[0].headers
    assert letter.header(ERRORS + "attempts") == "3"
    assert letter.header(ERRORS + "exception") == "Retryable"
    assert letter.header(ERRORS + "since") == "1000000"
    bench.feed(weighed("a"))
    assert bench.waits("a") == [("ParcelSent", DEAD), ("ParcelWeighed", WAITING)]


def test_a_settling_message_overtakes_and_answers_what_waits(bench: Bench) -> None:
    park(bench)
    bench.feed(weighed("a", 1), lost("a"), weighed("a", 2))

    assert bench.story("a") == ("settled", "late", "weighed 10", "weighed 5")
    assert bench.asked() == []
    assert bench.waits("a") == []
    assert {r.header("__eventbus.retry.state") for r in bench.compacted()} == {RESOLVED.value}


def test_a_settling_message_answers_dead_letters_too(bench: Bench) -> None:
    fail_for_good(bench)
    bench.feed(weighed("a"), lost("a"))
    assert bench.story("a") == ("settled", "late", "weighed 10")
    assert bench.waits("a") == []


def test_a_settling_message_waits_for_the_call_under_way(bench: Bench) -> None:
    bench.feed(sent("a"), lost("a"))
    assert bench.story("a") == ()
    bench.answer("a", AWAY)
    assert bench.story("a") == ("settled", "late")
    assert bench.waits("a") == []


def test_what_may_not_pass_is_a_dead_letter_at_once(bench: Bench) -> None:
    bench.feed(sent("a"))
    bench.answer("a", Poison("never"))
    assert bench.waits("a") == [("ParcelSent", DEAD)]
    assert len(bench.topic(DLQ)) == 1


def test_a_rule_that_raises_makes_a_dead_letter_and_parks_its_key(bench: Bench) -> None:
    bench.feed(weighed("a", 0), weighed("a", 1), weighed("b", 1))
    assert bench.waits("a") == [("ParcelWeighed", DEAD), ("ParcelWeighed", WAITING)]
    assert bench.story("b") == ("weighed 10",)
    (letter,) = bench.topic(DLQ)
    assert letter.header(ERRORS + "exception") == "ZeroDivisionError"


def test_what_cannot_be_decoded_is_a_dead_letter_and_parks_nothing(bench: Bench) -> None:
    broken = bench.raw(sent("a"))._replace(value=b"\0\0\0\0")
    bench.read([broken])
    bench.inputs.append(broken)
    bench.feed(weighed("a"))
    assert len(bench.topic(DLQ)) == 1
    assert bench.waits("a") == []
    assert bench.story("a") == ("weighed 10",)


def test_what_parks_nothing_is_remembered_without_its_bytes_and_becomes_no_second_dead_letter(
    bench: Bench,
) -> None:
    broken = bench.raw(sent("a"))._replace(value=b"\1" + b"x" * 1_000)
    bench.read([broken])
    (remembered,) = (Parked.from_record(raw) for raw in bench.topic(RETRY))
    assert (remembered.state, remembered.raw.coordinates) == (State.BURIED, broken.coordinates)
    assert bench.topic(RETRY)[0].size < 1_000

    bench.read([broken])
    assert len(bench.topic(DLQ)) == 1


def test_input_read_again_after_a_crash_is_not_decided_again(bench: Bench) -> None:
    park(bench)
    bench.feed(weighed("a"), sent("b"))
    written = len(bench.records)
    bench.take_over()
    bench.read(bench.inputs)
    assert len(bench.records) == written
    assert bench.asked() == ["b"], "only the call that was not answered is made again"
    assert bench.waits("a") == [("ParcelSent", WAITING), ("ParcelWeighed", WAITING)]
    assert bench.wait(1_000) == ["a"]
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked", "weighed 10")
    bench.take_over()
    bench.read(bench.inputs)
    assert bench.story("a") == ("CourierBooked", "weighed 10")
    assert bench.asked() == ["b"]


def test_a_turn_that_does_not_commit_leaves_nothing(bench: Bench) -> None:
    raws = [bench.raw(weighed("a", 0))]
    bench.read(raws, commit=False)
    assert bench.waits("a") == []
    assert not bench.store.parked.known(raws[0].coordinates)


def test_redrive_puts_a_dead_letter_back_and_what_waits_behind_it(bench: Bench) -> None:
    fail_for_good(bench)
    bench.feed(weighed("a"))
    bench.feed(Redrive(message_key="a"))
    assert bench.asked() == ["a"]
    bench.feed(Redrive(message_key="a"))
    assert bench.asked() == ["a"], "redriven twice applies once"
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked", "weighed 10")
    states = [r.header("__eventbus.retry.state") for r in bench.topic(RETRY) if r.key == b"parcel.events-0-0"]
    assert states == ["WAITING", "WAITING", "DEAD", "REDRIVEN", "RESOLVED"]


def test_a_redriven_message_has_all_its_tries_again(bench: Bench) -> None:
    fail_for_good(bench)
    bench.feed(Redrive(message_key="a"))
    bench.answer("a", AWAY)
    assert bench.waits("a") == [("ParcelSent", WAITING)]
    for wait in (1_000, 2_000):
        bench.wait(wait)
        bench.answer("a", AWAY)
    assert bench.waits("a") == [("ParcelSent", DEAD)]
    assert len(bench.topic(DLQ)) == 2


def test_a_redrive_of_another_key_or_log_changes_nothing(bench: Bench) -> None:
    fail_for_good(bench)
    bench.feed(Redrive(message_key="b"), Redrive(message_key="a", log="depot.events"))
    assert bench.asked() == []
    assert bench.waits("a") == [("ParcelSent", DEAD)]


@pytest.mark.parametrize(
    ("count", "story"), [(1, ("weighed 10", "weighed 5")), (2, ("weighed 5",)), (None, ())]
)
def test_discard_takes_the_oldest_and_the_rest_goes_on(
    bench: Bench, count: int | None, story: tuple[str, ...]
) -> None:
    fail_for_good(bench)
    bench.feed(weighed("a", 1), weighed("a", 2))
    bench.feed(Discard(message_key="a", count=count))
    assert bench.story("a") == story
    assert bench.waits("a") == []
    bench.read(bench.inputs[:1])
    assert bench.asked() == [], "what was discarded stays so"


def test_after_the_last_try_a_reactor_may_settle_instead(tmp_path: Path) -> None:
    bench = Bench(tmp_path, with_giving_up())
    fail_for_good(bench)
    assert bench.story("a") == ("settled",)
    assert bench.waits("a") == [("ParcelSent", WAITING)], "one more try, to find out what became of it"
    assert bench.topic(DLQ) == []
    assert bench.wait(4_000) == ["a"]
    assert bench.story("a") == ("settled", "late")
    assert bench.waits("a") == []


def test_while_the_breaker_is_open_no_try_counts(bench: Bench) -> None:
    changes: list[bool] = []
    bench.breaker.changed = changes.append
    bench.feed(*(sent(k) for k in "abcd"))
    for key in "abc":
        bench.answer(key, AWAY)
        bench.now += 300
    assert changes == [True]
    bench.answer("d", AWAY)
    assert [p.attempt for k in "abcd" for p in bench.store.parked.queue(Entity(LOG, k))] == [1, 1, 0, 0]
    for _ in range(20):
        bench.wait(60_000)
        for key in bench.asked():
            bench.answer(key, AWAY)
    assert bench.topic(DLQ) == []
    bench.wait(60_000)
    bench.answer("b")
    assert changes == [True, False]
    assert bench.story("b") == ("CourierBooked",)


def test_a_queue_survives_compaction_and_takeover_in_its_order(bench: Bench) -> None:
    park(bench)
    bench.feed(weighed("a", 1), weighed("a", 2))
    bench.wait(1_000)
    bench.answer("a", AWAY)
    before = bench.store.parked.queue(Entity(LOG, "a"))
    bench.take_over()
    assert bench.store.parked.queue(Entity(LOG, "a")) == before
    assert bench.wait(1_999) == []
    assert bench.wait(1) == ["a"]
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked", "weighed 10", "weighed 5")
    assert {len(r.value or b"") for r in bench.compacted()} == {0}, "what is over takes no room"


def test_deadlines_of_one_moment_make_events_of_different_ids(bench: Bench) -> None:
    turn, moment = Turn(bench.context), Raw(f"{LOG}.deadline", 0, 5, None, None, [], 5)
    keys = ("a", "b")
    turn.decide(
        [WorkItem(bench.reactor, moment, key, DeadlinePassed(key, 5), correlation_id=key) for key in keys]
    )
    events = [out.event for out in turn.outgoing if out.event]
    assert [event.message.key for event in events] == ["a", "b"]
    assert len({event.id for event in events}) == 2


def test_a_report_that_contradicts_what_was_asked_is_a_dead_letter_and_parks_nothing(tmp_path: Path) -> None:
    def decide(message: Message | Outcome, life: Life) -> Sequence[Message | Request]:
        if isinstance(message, ParcelWeighed) and message.grams == 2:
            raise Mismatch("it weighs 2 g, not 1 g")
        return REACTOR.decide(message, life)

    bench = Bench(tmp_path, replace(REACTOR, decide=decide))
    bench.feed(weighed("a", 2), weighed("a", 1))

    assert bench.story("a") == ("weighed 10",)
    assert bench.waits("a") == []
    (letter,) = bench.topic(DLQ)
    assert letter.header(ERRORS + "exception") == "Mismatch"
    assert letter.value == bench.inputs[0].value


def test_a_contradiction_that_waited_behind_another_message_parks_nothing_either(tmp_path: Path) -> None:
    def decide(message: Message | Outcome, life: Life) -> Sequence[Message | Request]:
        if isinstance(message, ParcelWeighed) and message.grams == 2:
            raise Mismatch("it weighs 2 g, not 1 g")
        return REACTOR.decide(message, life)

    bench = Bench(tmp_path, replace(REACTOR, decide=decide))
    park(bench)
    bench.feed(weighed("a", 2), weighed("a", 1))
    assert bench.wait(1_000) == ["a"]
    bench.answer("a")

    assert bench.story("a") == ("CourierBooked", "weighed 10")
    assert bench.waits("a") == []
    (letter,) = bench.topic(DLQ)
    assert letter.header(ERRORS + "exception") == "Mismatch"
    assert letter.value == bench.inputs[1].value
