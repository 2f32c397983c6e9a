"""Which inputs are unfinished decides up to where a partition may be committed."""

from __future__ import annotations

from eventbus.model.record import Raw
from eventbus.processing.work import KeyQueue, Pending


def raw(offset: int, partition: int = 0) -> Raw:
    return Raw("t", partition, offset, b"k", b"", [], 0)


def test_the_lowest_unfinished_offset_holds_the_partition_back() -> None:
    pending = Pending()
    for offset in (3, 4, 7):
        pending.begin(raw(offset))

    pending.finish(raw(4))
    assert pending.lowest("t", 0) == 3
    pending.finish(raw(3))
    assert pending.lowest("t", 0) == 7
    pending.finish(raw(7))
    assert pending.lowest("t", 0) is None
    assert pending.count() == 0


def test_an_input_of_two_deciders_is_finished_when_both_are() -> None:
    pending = Pending()
    pending.begin(raw(3))
    pending.begin(raw(3))

    pending.finish(raw(3))
    assert pending.lowest("t", 0) == 3
    pending.finish(raw(3))
    assert pending.lowest("t", 0) is None


def test_what_goes_to_another_replica_is_forgotten_and_nothing_else() -> None:
    pending = Pending()
    for partition in (0, 1):
        pending.begin(raw(3, partition))
        pending.queues["log", f"k{partition}"] = KeyQueue(partition)

    pending.drop({0})

    assert (pending.lowest("t", 0), pending.lowest("t", 1)) == (None, 3)
    assert list(pending.queues) == [("log", "k1")]
    pending.drop()
    assert pending.count() == 0 and not pending.queues
