"""Up to where an input partition may be committed: the four offsets of the tracker."""

from __future__ import annotations

from eventbus.model.places import Entity, Partition
from eventbus.model.record import Raw
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.work import KeyQueue, KeyQueues

FIRST, SECOND = Partition("t", 0), Partition("t", 1)


def raw(offset: int, partition: int = 0) -> Raw:
    return Raw("t", partition, offset, b"k", b"", [], 0)


def decided(offsets: OffsetTracker, position: int = 9, partition: Partition = FIRST) -> int:
    return offsets.decided({partition: position})[partition]


def test_the_lowest_unfinished_offset_holds_the_partition_back() -> None:
    offsets = OffsetTracker()
    for offset in (3, 4, 7):
        offsets.start(raw(offset))

    offsets.finish(raw(4))
    assert decided(offsets) == 3
    offsets.finish(raw(3))
    assert decided(offsets) == 7
    offsets.finish(raw(7))
    assert decided(offsets) == 9
    assert offsets.unfinished() == 0


def test_an_input_of_two_deciders_is_finished_when_both_are() -> None:
    offsets = OffsetTracker()
    offsets.start(raw(3))
    offsets.start(raw(3))

    offsets.finish(raw(3))
    assert decided(offsets) == 3
    offsets.finish(raw(3))
    assert decided(offsets) == 9


def test_what_goes_to_another_replica_is_forgotten_and_nothing_else() -> None:
    offsets, queues = OffsetTracker(), KeyQueues()
    for partition in (0, 1):
        offsets.lead(Partition("t", partition), 1)
        offsets.start(raw(3, partition))
        queues[Entity("log", f"k{partition}")] = KeyQueue(partition)

    offsets.leave({0})
    queues.drop({0})

    assert (decided(offsets), decided(offsets, partition=SECOND)) == (9, 3)
    assert (offsets.group_stands(FIRST), offsets.group_stands(SECOND)) == (-1, 1)
    assert list(queues) == [("log", "k1")]
    offsets.rewind()
    queues.drop()
    assert offsets.unfinished() == 0 and not queues


def test_a_task_is_handed_over_where_its_last_turn_ended() -> None:
    offsets = OffsetTracker()
    offsets.lead(FIRST, 2)
    offsets.lead(SECOND, -1)
    offsets.conclude({FIRST: 5, SECOND: 4})

    assert offsets.to_hand_over({0}) == {FIRST: 5}
    offsets.committed({FIRST: 5})
    assert offsets.to_hand_over({0, 1}) == {SECOND: 4}
    offsets.forget_concluded()
    assert offsets.to_hand_over({0, 1}) == {}


def test_a_task_that_is_written_for_carries_the_offsets_of_all_its_inputs() -> None:
    offsets = OffsetTracker()
    offsets.lead(FIRST, 2)
    offsets.lead(Partition("never read", 0), -1)
    offsets.lead(SECOND, 7)

    assert offsets.standing({0}, {FIRST: 5}) == {FIRST: 5, Partition("never read", 0): 0}
    assert offsets.moved({FIRST: 5, SECOND: 7}) == {FIRST: 5}


def test_a_batch_that_cannot_be_read_is_passed_over_once() -> None:
    offsets = OffsetTracker()
    offsets.lead(FIRST, 0)
    offsets.pass_over(FIRST, 6)

    assert decided(offsets, position=4) == 6
    assert offsets.has_passed(FIRST, 5) and not offsets.has_passed(FIRST, 6)
    offsets.rewind()
    assert not offsets.has_passed(FIRST, 5)
