"""A message that a service sends to itself is decided at once and not written, if nothing older stands unread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.decider import Decider
from eventbus.model.errors import Fenced
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Entity, Partition, led_by
from eventbus.model.record import Raw
from eventbus.processing.chain import Chain
from eventbus.processing.context import turn_context
from eventbus.processing.outgoing import Outgoing, placed
from eventbus.processing.turn import Turn
from eventbus.settings import Settings
from eventbus.state.store import Store
from parcels.messages import CourierNoted, ParcelSent, ParcelWeighed, RecallParcel, SendParcel
from testbed.bench import REACTOR

COMMANDS, RETRY = SendParcel.topic, "post.retry"
HOME, AWAY = Partition(COMMANDS, 0), Partition(COMMANDS, 1)
"""Keys that begin with "far" belong to partition 1, all others to partition 0."""


@dataclass(frozen=True)
class Seen:
    """How many events there are of a key."""

    events: int = 0


def at_the_desk(message: Message, seen: Seen) -> Sequence[Message]:
    """Each piece of what is weighed is sent as a parcel of its own: ``cup/1``, ``cup/2`` …"""
    match message:
        case ParcelWeighed(parcel_id=key, grams=pieces):
            parcels = [SendParcel(parcel_id=f"{key}/{n}", sender=key) for n in range(1, pieces + 1)]
            return [CourierNoted(parcel_id=key, note="asked"), *parcels]
        case RecallParcel(parcel_id=key, reason=reason):
            again = [SendParcel(parcel_id=f"{key}/again", sender="again")] if reason == "again" else []
            return [CourierNoted(parcel_id=key, note=f"{reason} came back"), *again]
    raise AssertionError(message)


def in_the_hall(message: Message, seen: Seen) -> Sequence[Message]:
    """Each parcel is sent, and the desk hears of it; but from some senders nothing comes, or an error."""
    assert isinstance(message, SendParcel)
    if message.sender == "nobody":
        return []
    if message.sender == "broken":
        raise ZeroDivisionError("no such sender")
    if message.sender == "fenced":
        raise Fenced("somebody else leads")
    owner, _, piece = message.parcel_id.rpartition("/")
    return [
        ParcelSent(parcel_id=message.parcel_id, sender=message.sender),
        RecallParcel(parcel_id=owner, reason=piece),
    ]


def count(seen: Seen, event: Message) -> Seen:
    return Seen(seen.events + 1)


DESK: Decider[Seen] = Decider(
    log="courier.events",
    inputs=(ParcelWeighed, RecallParcel),
    sends=(SendParcel,),
    initial=Seen(),
    decide=at_the_desk,
    evolve=count,
)
HALL: Decider[Seen] = Decider(
    log="parcel.events",
    inputs=(SendParcel,),
    sends=(RecallParcel,),
    initial=Seen(),
    decide=in_the_hall,
    evolve=count,
)


class Office:
    """A replica of a service with two halves, each of which sends to the other. It leads the tasks ``led`` of two."""

    def __init__(
        self, path: Path, *deciders: Decider[Any], most: int = 10, led: Sequence[int] = (0,)
    ) -> None:
        by_log = {decider.log: decider for decider in deciders or (DESK, HALL)}
        self.codec = Codec("parcels")
        self.store = Store(path / "a.sqlite", list(by_log.values()), retry=RETRY)
        self.context = turn_context(
            "post",
            by_log,
            self.codec,
            Settings(),
            self.store,
            lambda key: int(key.startswith(b"far")),
            clock=lambda: 7,
            jitter=lambda: 0.0,
        )
        self.led, self.positions = list(led), {HOME: 0, AWAY: 0}
        self.chain = Chain(self.context.offsets, lambda: self.led, most)
        self.topics: dict[str, list[Outgoing]] = {}
        self.inputs = 0

    def weighs(self, key: str, pieces: int = 1) -> Turn:
        """A parcel of so many pieces is put on the scales: one turn, up to its end."""
        return self.reads(self.record(ParcelWeighed(parcel_id=key, grams=pieces)))

    def record(self, message: Message) -> Raw:
        topic, offset, key = message.topic, self.inputs, message.key.encode()
        self.inputs += 1
        partition = self.context.partition_of(key)
        envelope = Envelope.from_outside(
            message,
            topic,
            partition,
            time=7,
            source="/test",
            correlation_id="c",
            identity=f"id-{offset}",
        )
        value = self.codec.encode(message)
        return Raw(topic, partition, offset, key, value, headers_of(envelope), 7)

    def decides(self, *raws: Raw) -> Turn:
        """Steps 2 to 4."""
        turn = Turn(self.context)
        items = turn.decode(raws)
        turn.load(items)
        turn.decide(items)
        turn.conclude()
        self.chain.follow(turn, self.positions)
        return turn

    def reads(self, *raws: Raw) -> Turn:
        """One turn; its transaction commits."""
        turn = self.decides(*raws)
        written = []
        for record in turn.outgoing:
            topic = self.topics.setdefault(f"{record.topic}-{record.partition}", [])
            written.append((record, len(topic)))
            topic.append(record)
        self.store.write(
            turn.folds,
            [placed(out, offset) for out, offset in written if out.event],
            {},
            [(RETRY, out.parked) for out, _ in written if out.parked],
        )
        self.chain.committed(written)
        return turn

    def reads_all(self, place: Partition = HOME) -> None:
        """The consumer comes to what the service has written to an input, and has it decided."""
        commands = self.topics.get(str(place), [])
        while self.positions[place] < len(commands):
            offset = self.positions[place]
            self.positions[place] += 1
            record = commands[offset]
            self.reads(Raw(*place, offset, record.key, record.value, record.headers, 7))

    def settles(self, key: str = "first") -> None:
        """Writes and reads the first messages to its inputs, as after each start."""
        self.weighs(key)
        self.reads_all()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def sent(turn: Turn) -> list[tuple[str, str]]:
    """What the turn writes: the name of each message, and its key."""
    found = []
    for record in turn.outgoing:
        headers = dict(record.headers)
        found.append(((headers.get("ce_type") or b"").decode(), (record.key or b"").decode()))
    return found


AT_ONCE = [("CourierNoted", "cup"), ("ParcelSent", "cup/1"), ("CourierNoted", "cup")]


def test_a_message_is_decided_when_it_is_sent_and_so_is_what_follows_and_neither_is_written(
    office: Office,
) -> None:
    office.settles()
    turn = office.weighs("cup")
    assert sent(turn) == AT_ONCE
    assert turn.decided == 3
    assert office.store.load(DESK, "cup").version == 2
    assert office.store.load(HALL, "cup/1").version == 1


def test_the_first_message_to_an_input_is_written_and_the_next_ones_until_it_is_read(office: Office) -> None:
    """Who led the task before may have written to it."""
    for key in ("tea", "pot"):
        turn = office.weighs(key)
        assert sent(turn) == [("CourierNoted", key), ("SendParcel", f"{key}/1")]
    office.reads_all()
    assert sent(office.weighs("cup")) == AT_ONCE


def test_after_other_tasks_are_led_the_first_message_is_written_again(office: Office) -> None:
    office.settles()
    office.chain.forget()
    assert sent(office.weighs("cup")) == [("CourierNoted", "cup"), ("SendParcel", "cup/1")]


def test_events_name_the_record_that_led_to_them_and_ids_are_their_own_and_the_same_again(
    office: Office,
) -> None:
    office.settles()
    record = office.record(ParcelWeighed(parcel_id="cup", grams=2))
    once, again = office.decides(record), office.decides(record)
    events = [record.event for record in once.outgoing if record.event]
    assert [event.cause for event in events] == [
        record.coordinates,
        *[f"parcel.commands.unwritten-0-{record.offset}"] * 4,
    ]
    assert {event.led_by for event in events} == {record.coordinates}
    assert [event.causation_id for event in events] == [f"id-{record.offset}", *[record.coordinates] * 4]
    assert {event.correlation_id for event in events} == {"c"}
    assert len({event.id for event in events}) == 5
    assert [event.id for event in events] == [out.event.id for out in again.outgoing if out.event]


@pytest.mark.parametrize(
    ("cause", "causation_id", "record"),
    [
        ("stock.commands.unwritten-2-17", "order.events-0-17", "order.events-0-17"),
        ("stock.commands-2-17", "order.events-0-17", "stock.commands-2-17"),
        ("stock.commands.unwritten-2-17", "somebody's id", "stock.commands.unwritten-2-17"),
        ("stock.commands.unwritten-2-17", "order.events-0-" + "9" * 5_000, "stock.commands.unwritten-2-17"),
        ("stock.commands.unwritten-2-17", None, "stock.commands.unwritten-2-17"),
        ("unwritten", "order.events-0-17", "unwritten"),
        (None, "order.events-0-17", None),
    ],
)
def test_the_record_that_led_to_an_event_is_a_place_whatever_it_says(
    cause: str | None, causation_id: str | None, record: str | None
) -> None:
    assert led_by(cause, causation_id) == record


def test_a_key_of_another_partition_led_here_is_written_for_there(tmp_path: Path) -> None:
    office = Office(tmp_path, led=(0, 1))
    office.settles()
    office.settles("far")
    office.reads_all(AWAY)
    turn = office.weighs("far")
    assert turn.tasks == {1}
    assert [record.partition for record in turn.outgoing] == [1, 1, 1]
    assert turn.folds[Entity("parcel.events", "far/1")][0] == 1


def test_a_task_that_another_replica_leads_is_left_to_it(office: Office) -> None:
    office.settles()
    office.positions[AWAY] = 10**6
    for _ in range(2):
        assert sent(office.weighs("far")) == [("CourierNoted", "far"), ("SendParcel", "far/1")]


def test_two_hops_are_decided_and_what_follows_is_written(office: Office) -> None:
    office.settles()
    turn = office.weighs("cup", pieces=1)
    assert sent(turn) == AT_ONCE
    again = office.reads(office.record(SendParcel(parcel_id="tea/again", sender="tea")))
    assert sent(again) == [
        ("ParcelSent", "tea/again"),
        ("CourierNoted", "tea"),
        ("ParcelSent", "tea/again"),
        ("RecallParcel", "tea"),
    ]


def test_each_hop_goes_on_with_so_many_messages_and_the_others_are_written(tmp_path: Path) -> None:
    office = Office(tmp_path, most=2)
    office.settles()
    names = [name for name, _ in sent(office.weighs("cup", pieces=3))]
    assert names == ["CourierNoted", "SendParcel", "ParcelSent", "RecallParcel", "ParcelSent", "RecallParcel"]
    office.reads_all()
    assert sent(office.weighs("cup", pieces=1)) == AT_ONCE, "so many in each hop"


def test_what_leads_to_nothing_is_written_since_no_transaction_shows_that_its_task_is_led(
    office: Office,
) -> None:
    office.settles()
    turn = office.weighs("nobody")
    assert sent(turn) == [("CourierNoted", "nobody"), ("SendParcel", "nobody/1")]
    assert turn.decided == 1


def test_what_its_rule_fails_on_is_written_and_what_is_sent_behind_it_too_and_waits_when_read(
    office: Office,
) -> None:
    office.settles()
    turn = office.weighs("broken", pieces=2)
    assert sent(turn) == [("CourierNoted", "broken"), ("SendParcel", "broken/1"), ("SendParcel", "broken/2")]
    assert office.store.load(HALL, "broken/1").version == 0
    office.reads_all()
    entity = Entity("parcel.events", "broken/1")
    assert [parked.raw.topic for parked in office.store.parked.queue(entity)] == [COMMANDS]

    waits = office.weighs("broken")
    assert sent(waits)[1] == ("SendParcel", "broken/1"), "behind what waits for its key"


def test_an_error_that_ends_the_process_ends_it(office: Office) -> None:
    office.settles()
    with pytest.raises(Fenced):
        office.weighs("fenced")


def test_what_kafka_refused_as_too_large_is_written_so_that_it_is_to_blame_itself(office: Office) -> None:
    office.settles()
    record = office.record(ParcelWeighed(parcel_id="cup", grams=1))
    blamed = next(out for out in office.decides(record).outgoing if out.topic == "parcel.events")
    office.context.blame(blamed.cause, blamed.topic)
    assert sent(office.reads(record)) == [("CourierNoted", "cup"), ("SendParcel", "cup/1")]


def test_an_aborted_transaction_leaves_nothing_decided(office: Office) -> None:
    office.settles()
    record = office.record(ParcelWeighed(parcel_id="cup", grams=1))
    office.decides(record)
    assert office.store.load(HALL, "cup/1").version == 0
    assert sent(office.reads(record)) == AT_ONCE


@pytest.mark.parametrize(
    "taker",
    [
        (replace(REACTOR, log="parcel.events", inputs=(SendParcel,)),),
        (HALL, replace(HALL, log="other.events")),
    ],
)
def test_what_asks_the_outside_and_what_several_take_is_written(
    tmp_path: Path, taker: tuple[Decider[Any], ...]
) -> None:
    office = Office(tmp_path, DESK, *taker)
    office.weighs("tea")
    office.positions[HOME] = 1
    assert sent(office.weighs("cup")) == [("CourierNoted", "cup"), ("SendParcel", "cup/1")]
