"""A dry run gives the effect on each message that the real run then has, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus import Message, Retryable, Settings
from eventbus.admin import Discard, Redrive
from eventbus.model.places import Entity
from eventbus.retry.parked import Parked, State
from eventbus.retry.preview import Effect, previews
from eventbus.service.dry_run import dry_run
from testbed.bench import LOG, Bench, lost, sent, weighed

APPLIES, CALLS, DEPENDS = Effect.APPLIES, Effect.CALLS, Effect.DEPENDS
FAILS, STAYS, DISCARDED = Effect.FAILS, Effect.STAYS, Effect.DISCARDED
AWAY = Retryable("away")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def dry_run_effects(bench: Bench, command: Redrive | Discard) -> list[Effect]:
    before = (list(bench.records), bench.waits("a"), bench.story("a"), list(bench.requests))
    found = dry_run("courier", Settings(), bench.codec, bench.store, 1, command)
    assert (list(bench.records), bench.waits("a"), bench.story("a"), list(bench.requests)) == before
    return [preview.verdict for preview in found]


def real_effects(bench: Bench, command: Redrive | Discard, answer: Exception | None = None) -> list[Effect]:
    queue, written = bench.store.waiting.queue(Entity(LOG, "a")), len(bench.topic("courier.retry"))
    bench.feed(command)
    while bench.asked():
        bench.answer("a", answer)
    new = [Parked.from_record(r) for r in bench.topic("courier.retry")[written:]]
    return [preview.verdict for preview in previews(queue, {p.raw.coordinates: p for p in new})]


def dead(bench: Bench, *messages: Message) -> None:
    """The first message has failed for good, the others wait behind it."""
    bench.feed(*messages)
    while bench.asked():
        bench.answer("a", AWAY)
        bench.wait(60_000)
    assert bench.waits("a")[0][1] is State.DEAD


CALLED = (sent("a"), weighed("a"), weighed("a", 5))
BUG = (weighed("a", 0), weighed("a"), sent("a"), weighed("a", 2))


@pytest.mark.parametrize(
    ("messages", "command", "answer", "expected"),
    [
        (CALLED, Redrive(message_key="a"), None, [CALLS, DEPENDS, DEPENDS]),
        (CALLED, Redrive(message_key="a"), AWAY, [CALLS, DEPENDS, DEPENDS]),
        (CALLED, Discard(message_key="a"), None, [DISCARDED] * 3),
        (CALLED, Discard(message_key="a", count=1), None, [DISCARDED, APPLIES, APPLIES]),
        (BUG, Redrive(message_key="a"), None, [FAILS, STAYS, STAYS, STAYS]),
        (BUG, Discard(message_key="a", count=1), None, [DISCARDED, APPLIES, CALLS, DEPENDS]),
        (BUG, Discard(message_key="a", count=2), AWAY, [DISCARDED, DISCARDED, CALLS, DEPENDS]),
        (BUG, Redrive(message_key="a", log="another.log"), None, None),
    ],
)
def test_the_dry_run_gives_the_effects_of_the_real_run(
    bench: Bench,
    messages: tuple[Message, ...],
    command: Redrive | Discard,
    answer: Exception | None,
    expected: list[Effect] | None,
) -> None:
    dead(bench, *messages)
    if expected is None:
        assert dry_run_effects(bench, command) == []
        return
    assert dry_run_effects(bench, command) == expected
    assert real_effects(bench, command, answer) == expected


def test_a_key_that_is_not_dead_stays_as_it_is(bench: Bench) -> None:
    bench.feed(sent("a"), weighed("a"))
    bench.answer("a", AWAY)
    assert dry_run_effects(bench, Redrive(message_key="a")) == [STAYS, STAYS]
    assert real_effects(bench, Redrive(message_key="a")) == [STAYS, STAYS]


def test_the_record_of_a_resolved_message_names_its_events(bench: Bench) -> None:
    dead(bench, *CALLED)
    real_effects(bench, Redrive(message_key="a"))
    ended = {p.raw.coordinates: p for p in map(Parked.from_record, bench.compacted())}
    assert [(p.events, p.called) for p in ended.values()] == [
        (("CourierBooked",), True),
        (("CourierNoted",), False),
        (("CourierNoted",), False),
    ]


def test_a_settling_message_needs_no_redrive(bench: Bench) -> None:
    dead(bench, *CALLED)
    bench.feed(lost("a"))
    assert dry_run_effects(bench, Redrive(message_key="a")) == []
