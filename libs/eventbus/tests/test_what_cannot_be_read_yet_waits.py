"""A message of a schema that this code does not know parks its key. Code that knows the schema decides it."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from eventbus.admin import Discard, Redrive
from eventbus.codec import Codec
from eventbus.model.decider import DeadlinePassed
from eventbus.model.errors import Poison, Retryable, UnknownSchema
from eventbus.model.places import Entity, Position
from eventbus.model.record import Raw
from eventbus.processing.context import Router
from eventbus.processing.skips import PARTITION, TOPIC, Skips
from eventbus.processing.turn import Turn
from eventbus.processing.work import WorkItem
from eventbus.retry.parked import ERRORS, Parked, State
from eventbus.retry.preview import Effect
from eventbus.service.dry_run import dry_run
from eventbus.settings import Settings
from parcels.decider import decider as parcel_decider
from parcels.messages import SendParcel
from testbed.bench import DLQ, LOG, REACTOR, RETRY, Bench, lost, sent, weighed
from testbed.older import OlderCodec

WAITING, DEAD = State.WAITING, State.DEAD


class OldBench(Bench):
    """A bench whose code does not know ParcelWeighed until it is upgraded."""

    codec: OlderCodec

    def __init__(self, path: Path) -> None:
        super().__init__(path, codec=OlderCodec("parcels", lacks=["ParcelWeighed"]))

    def upgrade(self) -> None:
        self.codec.lacks.clear()

    def queue(self, key: str = "a") -> list[tuple[str | None, State, str]]:
        """What waits for a key: the type that each record names, how it waits, and the class of the error."""
        queue = self.store.parked.queue(Entity(LOG, key))
        return [(p.raw.header("ce_type"), p.state, p.exception) for p in queue]


@pytest.fixture
def bench(tmp_path: Path) -> OldBench:
    return OldBench(tmp_path)


def test_it_parks_its_key_as_a_dead_letter_that_says_what_to_do(bench: OldBench) -> None:
    bench.feed(weighed("a"), weighed("b"), sent("c"))
    assert bench.queue() == [("ParcelWeighed", DEAD, "UnknownSchema")]
    (letter, _) = bench.topic(DLQ)
    assert (letter.key, letter.value) == (b"a", bench.inputs[0].value)
    assert letter.header(ERRORS + "exception") == "UnknownSchema"
    assert bench.asked() == ["c"], "other keys go on"
    bench.answer("c")
    assert bench.context.offsets.unfinished() == 0, "nothing holds the partition's offset back"


def test_the_error_names_the_schema_id_and_the_remedy() -> None:
    with pytest.raises(
        UnknownSchema, match="unknown schema id 999999: start code that knows it, then redrive"
    ):
        Codec("parcels").decode_value(struct.pack(">bI", 0, 999_999) + b"x")


def test_later_messages_of_the_key_queue_behind_it_and_a_redrive_by_new_code_decides_all_in_order(
    bench: OldBench,
) -> None:
    bench.feed(weighed("a", 1), sent("a"), weighed("a", 2))
    bench.feed(weighed("a", 5))
    assert [state for _, state, _ in bench.queue()] == [DEAD, WAITING, WAITING, WAITING]
    assert bench.story("a") == () and bench.asked() == []
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    bench.answer("a")
    assert bench.story("a") == ("weighed 10", "CourierBooked", "weighed 5", "weighed 2")
    assert bench.waits("a") == []


def test_a_redrive_before_the_upgrade_changes_nothing_but_the_letters(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), sent("a"))
    for _ in range(2):
        bench.feed(Redrive(message_key="a"))
        assert bench.queue() == [("ParcelWeighed", DEAD, "UnknownSchema"), ("ParcelSent", WAITING, "")]
    assert bench.story("a") == () and bench.asked() == []
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    bench.answer("a")
    assert bench.story("a") == ("weighed 10", "CourierBooked")


def test_a_dry_run_says_whether_the_code_knows_the_schema_by_now(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), sent("a"), weighed("a", 2))

    def effects() -> list[Effect]:
        command = Redrive(message_key="a")
        return [p.effect for p in dry_run("courier", Settings(), bench.codec, bench.store, 1, command)]

    assert effects() == [Effect.FAILS, Effect.STAYS, Effect.STAYS]
    bench.upgrade()
    assert effects() == [Effect.APPLIES, Effect.CALLS, Effect.DEPENDS]


def test_a_queue_behind_an_unread_message_survives_a_takeover_by_either_code(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), weighed("a", 2))
    bench.take_over()
    bench.feed(weighed("a", 5))
    bench.upgrade()
    bench.take_over()
    bench.feed(Redrive(message_key="a"))
    assert bench.story("a") == ("weighed 10", "weighed 5", "weighed 2")


def test_what_newer_code_parked_stays_parked_under_older_code(bench: OldBench) -> None:
    bench.upgrade()
    bench.feed(sent("a"))
    bench.answer("a", Retryable("away"))
    bench.feed(weighed("a", 1), weighed("a", 2))
    bench.codec.lacks.add("ParcelWeighed")
    bench.take_over()
    assert bench.wait(1_000) == ["a"]
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked",)
    assert bench.queue() == [("ParcelWeighed", DEAD, "UnknownSchema"), ("ParcelWeighed", WAITING, "")]
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    assert bench.story("a") == ("CourierBooked", "weighed 10", "weighed 5")


def test_what_is_read_again_is_neither_parked_twice_nor_a_second_letter(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), sent("a"))
    bench.read(bench.inputs)
    assert len(bench.topic(DLQ)) == 1 and len(bench.queue()) == 2
    bench.upgrade()
    bench.read(bench.inputs)
    assert bench.story("a") == () and len(bench.queue()) == 2, "only a redrive decides it"


def test_settling_messages_and_deadlines_overtake_it(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), sent("a"))
    bench.feed(lost("a"))
    assert bench.story("a") == ("settled",) and bench.asked() == []
    assert [state for _, state, _ in bench.queue()] == [DEAD, WAITING], "it is still to be read"
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    assert bench.story("a") == ("settled", "weighed 10", "late") and bench.waits("a") == []

    bench.codec.lacks.add("ParcelWeighed")
    bench.feed(weighed("b", 1))
    turn = Turn(bench.context)
    deadline = Raw(f"{LOG}.deadline", 0, 1, None, None, [], 1)
    turn.decide([WorkItem(REACTOR, deadline, "b", DeadlinePassed("b", 1), "b")])
    bench.conclude(turn)
    assert bench.story("b") == ("deadline",)


def test_a_settling_message_that_cannot_be_read_waits_in_its_order(bench: OldBench) -> None:
    bench.codec.lacks = {"ParcelLost"}
    bench.feed(lost("a"), sent("a"))
    assert bench.asked() == [], "what comes after the end is not called for"
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    assert bench.story("a") == ("settled", "late") and bench.asked() == []


def test_one_that_comes_while_a_call_is_under_way_is_decided_after_it(bench: OldBench) -> None:
    bench.feed(sent("a"))
    bench.feed(weighed("a", 1))
    assert bench.queue() == []
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked",)
    assert bench.queue() == [("ParcelWeighed", DEAD, "UnknownSchema")]


def test_it_can_be_discarded(bench: OldBench) -> None:
    bench.feed(weighed("a", 1), sent("a"))
    bench.feed(Discard(message_key="a", count=1))
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked",)


def test_it_never_opens_the_breaker(bench: OldBench) -> None:
    for n in range(20):
        bench.feed(weighed(f"k{n}", 1))
        bench.now += 1_000
    assert not bench.breaker.is_open


def unread(bench: OldBench, **change: object) -> Raw:
    return bench.raw(weighed("a"))._replace(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"headers": []},
        {"key": None},
        {"key": b""},
        {"key": b"\xff\xff"},
        {"key": b"k" * 1_001},
        {"partition": 1},
        {"flaw": "the name of a header is not UTF-8"},
        {"headers": [("ce_type", b"ParcelWeighed"), ("x", b"x" * 6_000_000)]},
    ],
    ids=["no type", "no key", "empty key", "key not text", "long key", "partition", "flaw", "size"],
)
def test_what_has_another_fault_parks_nothing(bench: OldBench, change: dict[str, object]) -> None:
    raw = unread(bench, **change)
    bench.read([raw])
    bench.read([raw])
    assert len(bench.topic(DLQ)) == 1, "a dead letter, once"
    assert {Parked.from_record(r).state for r in bench.topic(RETRY)} == {State.BURIED}
    assert bench.store.parked.keys() == 0


def test_an_event_of_a_type_that_nobody_takes_costs_nothing(bench: OldBench) -> None:
    value = struct.pack(">bI", 0, 999_999) + b"x"
    bench.read([unread(bench, value=value, headers=[("ce_type", b"ParcelWrapped")])])
    assert bench.records == []


def test_a_command_of_a_new_type_waits_for_the_one_who_takes_the_commands_of_its_topic() -> None:
    codec = OlderCodec("parcels", lacks=["SendParcel"])
    value = codec.encode(SendParcel(parcel_id="a", sender="anne"))
    raw = Raw("parcel.commands", 0, 0, b"a", value, [("ce_type", b"ReturnParcel")], 0)
    assert Router([parcel_decider], codec).route(raw) == [parcel_decider]
    other = replace(parcel_decider, log="twin.events")
    with pytest.raises(Poison, match="takes no ReturnParcel"):
        Router([parcel_decider, other], codec).route(raw)  # nobody knows which of them will take it
    codec.lacks.clear()
    with pytest.raises(Poison, match="takes no ReturnParcel"):
        Router([parcel_decider], codec).route(raw)


def test_once_it_can_be_read_it_must_be_what_it_said_and_what_its_decider_takes(bench: OldBench) -> None:
    """A made-up schema id may come into use later: nothing that was not subscribed to is ever decided."""
    bench.codec.lacks = {"ParcelSent"}
    bench.read([unread(bench, value=bench.codec.encode(sent("a")))])
    assert bench.queue() == [("ParcelWeighed", DEAD, "UnknownSchema")]
    bench.upgrade()
    bench.feed(Redrive(message_key="a"))
    assert bench.queue() == [("ParcelWeighed", DEAD, "Poison")]
    assert bench.story("a") == () and bench.asked() == []


def test_a_skip_counts_even_if_its_reason_cannot_be_read() -> None:
    """What is skipped stands in the key: older code must not fold what an operator has set aside."""
    skips, place = Skips(Codec("parcels")), Position("parcel.events", 0, 7)
    newer = Raw(TOPIC, PARTITION, 0, str(place).encode(), struct.pack(">bI", 0, 999_999), [], 0)
    assert skips.take(newer) == place and place in skips
    assert skips.reason(place).startswith("its reason cannot be read: unknown schema id 999999")
    with pytest.raises(Poison):
        skips.take(newer._replace(value=b"junk"))
