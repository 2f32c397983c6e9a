"""A message that a service sends to itself is decided when it is written, if it is the next of its input; or before,
if this replica can foresee where it will stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from eventbus.codec import Codec
from eventbus.kafka.transactions import Aborted
from eventbus.model.decider import Decider
from eventbus.model.places import Partition
from eventbus.processing.chain import DOUBT, Chain
from eventbus.processing.context import TurnContext, turn_context
from eventbus.processing.outgoing import Outgoing
from eventbus.processing.ports import StateReader
from eventbus.settings import Settings
from parcels.messages import ParcelSent
from testbed.bench import REACTOR

INPUT = ParcelSent.topic
PLACE = Partition(INPUT, 0)
PLAIN: Decider[Any] = Decider(
    log="notes.events",
    inputs=(ParcelSent,),
    initial=None,
    decide=lambda message, state: [],
    evolve=lambda state, event: state,
)


def context(*deciders: Decider[Any]) -> TurnContext:
    by_log = {decider.log: decider for decider in deciders}
    return turn_context(
        "notes",
        by_log,
        Codec("parcels"),
        Settings(),
        cast(StateReader, None),
        lambda key: 0,
        clock=lambda: 7,
        jitter=lambda: 0.0,
    )


def record(value: bytes = b"v", partition: int = 0, topic: str = INPUT) -> Outgoing:
    return Outgoing(topic, partition, b"k", value, [], cause="in-0-0")


class Writing:
    """A replica that leads task 0; its consumer has read up to ``position``, which the group has committed."""

    def __init__(
        self, position: int = 0, most: int = 10, decider: Decider[Any] = PLAIN, led: int = 1
    ) -> None:
        self.context = context(decider)
        self.offsets, self.position, self.now = self.context.offsets, position, 50.0
        self.offsets.lead(PLACE, position)
        self.chain = Chain(self.context, lambda: set(range(led)), 2, most, lambda: self.now)

    def goes_on_with(self, *offsets: int, partition: int = 0) -> list[int]:
        written = [(record(partition=partition), offset) for offset in offsets]
        return [raw.offset for raw in self.chain.next(written, {PLACE: self.position})]

    def commits(self, *offsets: int) -> None:
        self.chain.committed([(record(), offset) for offset in offsets])

    def decided(self) -> int:
        return self.offsets.decided({PLACE: self.position})[PLACE]


def test_the_next_messages_of_an_input_are_gone_on_with_as_they_stand_and_count_as_decided() -> None:
    writing = Writing(position=5)
    found = writing.chain.next([(record(b"a"), 5), (record(b"b"), 6)], {PLACE: 5})
    assert [(raw.offset, raw.key, raw.value, raw.timestamp) for raw in found] == [
        (5, b"k", b"a", 7),
        (6, b"k", b"b", 7),
    ]
    assert writing.decided() == 7


def test_what_is_gone_on_with_once_is_not_again() -> None:
    writing = Writing()
    assert writing.goes_on_with(0) == [0]
    assert writing.goes_on_with(0, 1) == [1]


def test_a_message_behind_what_somebody_else_wrote_is_read_as_any_other() -> None:
    writing = Writing(position=5)
    assert writing.goes_on_with(6, 7) == []
    assert writing.decided() == 5


def test_between_two_transactions_stands_the_marker_of_the_first_and_nothing_else() -> None:
    writing = Writing()
    assert writing.goes_on_with(0, 1) == [0, 1]
    writing.commits(0, 1)
    assert writing.goes_on_with(3) == [3]
    writing.commits(3)
    assert writing.goes_on_with(6) == [], "a marker and a record of somebody else"


def test_a_single_offset_between_is_somebody_elses_if_the_record_before_was() -> None:
    writing = Writing()
    assert writing.goes_on_with(0) == [0]
    writing.commits(0)
    writing.position = 3  # the marker, and what somebody else wrote behind it
    assert writing.goes_on_with(4) == []
    assert writing.goes_on_with(3) == [3]


def test_after_a_gap_it_goes_on_once_everything_before_is_read() -> None:
    writing = Writing()
    assert writing.goes_on_with(2) == []
    writing.commits(2)
    writing.position = 3
    assert writing.goes_on_with(4) == [4], "only the marker of the last transaction stands between"


def test_nothing_is_waited_for_behind_own_messages_that_are_not_read_yet() -> None:
    writing = Writing()
    assert writing.chain.concerns([record()], {PLACE: 0})
    assert writing.goes_on_with(2) == []
    writing.commits(2)
    assert not writing.chain.concerns([record()], {PLACE: 0})
    assert writing.chain.concerns([record()], {PLACE: 3})


def test_an_aborted_transaction_leaves_nothing_decided() -> None:
    writing = Writing(position=5)
    assert writing.goes_on_with(5) == [5]
    writing.offsets.rewind()
    assert writing.decided() == 5
    assert writing.goes_on_with(6) == [], "an aborted record and its marker stand before it"


def test_one_transaction_goes_on_with_so_many_messages_and_reads_the_others() -> None:
    writing = Writing(most=2)
    assert writing.goes_on_with(0, 1, 2) == [0, 1]
    assert writing.decided() == 2


def test_a_task_that_another_replica_leads_is_left_to_it() -> None:
    assert Writing().goes_on_with(0, partition=1) == []


@pytest.mark.parametrize(
    ("decider", "topic"), [(replace(REACTOR, log="r.events"), INPUT), (PLAIN, "other.commands")]
)
def test_what_asks_the_outside_and_what_others_take_is_not_waited_for(
    decider: Decider[Any], topic: str
) -> None:
    writing = Writing(decider=decider)
    outgoing: Sequence[Outgoing] = [record(topic=topic)]
    assert not writing.chain.concerns(outgoing, {PLACE: 0})
    assert writing.chain.next([(outgoing[0], 0)], {PLACE: 0}) == []


class Alone(Writing):
    """A replica that leads both tasks there are. What it wrote last stands right before its position."""

    def __init__(self, position: int = 5, most: int = 10) -> None:
        super().__init__(position, most, led=2)
        self.commits(position - 1)

    def foresees(self, *records: Outgoing) -> list[int] | None:
        found = self.chain.foresee(records, {PLACE: self.position})
        return None if found is None else [raw.offset for raw in found]


def test_who_alone_writes_to_an_input_foresees_offsets_behind_its_last_marker() -> None:
    alone = Alone(position=5)
    first, second = record(b"a"), record(b"b")
    found = alone.chain.foresee([first, second], {PLACE: 5})
    assert found and [(raw.offset, raw.value) for raw in found] == [(6, b"a"), (7, b"b")]
    assert alone.decided() == 8
    assert alone.chain.foresaw
    alone.chain.check([(first, 6), (second, 7)])


def test_it_does_not_matter_whether_the_marker_is_read() -> None:
    alone = Alone(position=5)
    alone.position = 6
    assert alone.foresees(record()) == [6]


def test_what_follows_in_the_same_transaction_stands_right_behind() -> None:
    alone = Alone(position=5)
    assert alone.foresees(record()) == [6]
    assert alone.foresees(record(), record(topic="other.commands")) == [7]


def test_one_transaction_after_the_other_is_foreseen() -> None:
    alone = Alone(position=5)
    for offset in (6, 8, 10):
        mine = record()
        assert alone.foresees(mine) == [offset]
        alone.chain.check([(mine, offset)])
        alone.chain.committed([(mine, offset)])
        assert not alone.chain.foresaw


def test_who_leads_not_all_tasks_foresees_nothing() -> None:
    """Others then write to its inputs."""
    one_of_two = Writing(position=5)
    one_of_two.commits(4)
    assert one_of_two.chain.foresee([record()], {PLACE: 5}) is None


def test_behind_records_of_others_nothing_is_foreseen() -> None:
    """Who did not write the last record does not know whether a marker follows it."""
    alone = Alone(position=5)
    alone.position = 7
    assert alone.foresees(record()) is None
    assert Writing(position=5, led=2).chain.foresee([record()], {PLACE: 5}) is None


def test_more_than_a_transaction_goes_on_with_is_not_foreseen() -> None:
    alone = Alone(most=1)
    assert alone.foresees(record(), record()) is None
    assert alone.foresees(record()) == [6]


@pytest.mark.parametrize("stands", [[], [7], [5]])
def test_what_stands_elsewhere_than_was_foreseen_aborts_and_is_not_foreseen_for_a_while(
    stands: list[int],
) -> None:
    alone, mine = Alone(position=5), record()
    assert alone.foresees(mine) == [6]
    with pytest.raises(Aborted, match="was foreseen at 6, and stands at"):
        alone.chain.check([(mine, offset) for offset in stands])
    alone.chain.aborted()
    alone.offsets.rewind()
    assert not alone.chain.foresaw and alone.decided() == 5
    alone.commits(4)
    assert alone.foresees(record()) is None
    alone.now += DOUBT
    assert alone.foresees(record()) == [6]


def test_behind_what_was_aborted_nothing_is_foreseen() -> None:
    """Its records and its marker stand there too, and the consumer has not shown them yet."""
    alone = Alone(position=5)
    alone.chain.aborted()
    assert alone.foresees(record()) is None
