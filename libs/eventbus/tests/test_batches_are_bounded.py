"""What a batch takes in is bounded by count and by bytes."""

from __future__ import annotations

from typing import Any, cast

from confluent_kafka import Consumer

from eventbus.processing.intake import MANY, SLICE, is_full, take


class Record:
    def __init__(self, size: int) -> None:
        self._size = size

    def value(self) -> bytes | None:
        return bytes(self._size) if self._size else None


class Arrived:
    """A consumer for which records of these sizes have arrived."""

    def __init__(self, *sizes: int) -> None:
        self.left = [Record(size) for size in sizes]

    def poll(self, wait: float) -> Record | None:
        return self.left.pop(0) if self.left else None

    def consume(self, most: int, wait: float) -> list[Record]:
        taken, self.left = self.left[:most], self.left[most:]
        return taken


def taken(arrived: Arrived, most: int = 500, most_bytes: int = 1_000) -> int:
    return len(take(cast(Consumer, cast(Any, arrived)), 0.0, most, most_bytes))


def test_a_batch_takes_what_is_there_up_to_its_count() -> None:
    assert taken(Arrived()) == 0
    assert taken(Arrived(*[1] * 700)) == 500
    assert taken(Arrived(*[1] * 100)) == 100
    assert taken(Arrived(0, 1), most=1) == 1


def test_m1_large_messages_fill_a_batch_before_its_count() -> None:
    """What comes behind them is decided in transactions of its own, not after all of them."""
    large = Arrived(*[400] * 100, *[1] * 100)
    assert taken(large) <= 1 + SLICE
    assert taken(Arrived(5_000, 1, 1)) == 1, "one that is larger than a batch goes alone"


def test_a_batch_is_full_by_its_count_or_by_its_bytes() -> None:
    def full(*sizes: int) -> bool:
        return is_full(cast(Any, [Record(size) for size in sizes]), 3, 1_000)

    assert not full() and not full(1, 998)
    assert full(1, 1, 1) and full(1_000)


def test_paused_input_is_not_read() -> None:
    assert taken(Arrived(), most=0) == 0


def test_no_rest_follows_many_records_though_a_batch_may_hold_more() -> None:
    def full(count: int) -> bool:
        return is_full(cast(Any, [Record(1)] * count), 4 * MANY, 1_000_000)

    assert not full(MANY - 1)
    assert full(MANY)
