"""What begins within a moment goes to one partition, or to a quarter of many; over time each gets the same share."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from eventbus.kafka.records import partition_of
from eventbus.service.new_keys import SHARE, TRIES, TURN, NewKeys


class Draws:
    """Keys as good as random, and the same ones in each run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return str(UUID(int=self.count * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1))


class Clock:
    now = 1_000.05

    def __call__(self) -> float:
        return self.now


def partitions_of(keys: NewKeys, draw: Draws, partitions: int, many: int) -> Counter[int]:
    return Counter(partition_of(keys.new(draw).encode(), partitions) for _ in range(many))


@pytest.mark.parametrize(("partitions", "together"), [(1, 1), (3, 1), (4, 1), (6, 2), (12, 3), (48, 12)])
def test_a_moment_has_one_partition_or_a_quarter_of_many(partitions: int, together: int) -> None:
    keys, draw = NewKeys(partitions, Clock(), dice=lambda _: 0), Draws()
    found = partitions_of(keys, draw, partitions, 400)
    assert len(found) == together
    assert draw.count / 400 < SHARE + 1


@pytest.mark.parametrize("partitions", [3, 6, 12])
def test_over_time_each_partition_gets_the_same_share(partitions: int) -> None:
    clock, draw = Clock(), Draws()
    keys, found = NewKeys(partitions, clock, dice=lambda _: 0), Counter[int]()
    for _ in range(partitions):
        found += partitions_of(keys, draw, partitions, 200)
        clock.now += TURN
    assert set(found) == set(range(partitions))
    assert all(150 < count < 250 for count in found.values())


def test_replicas_begin_in_partitions_of_their_own() -> None:
    first, second = (NewKeys(3, Clock(), dice=lambda _, begin=begin: begin) for begin in (0, 1))  # type: ignore[misc]
    draw = Draws()
    assert partitions_of(first, draw, 3, 10).keys().isdisjoint(partitions_of(second, draw, 3, 10))


def test_a_draw_that_is_never_right_is_taken_all_the_same() -> None:
    drawn: list[str] = []

    def draw() -> str:
        drawn.append("the same")
        return "the same"

    elsewhere = (partition_of(b"the same", 3) + 1) % 3
    clock = Clock()
    clock.now = 0.0
    assert NewKeys(3, clock, dice=lambda _: elsewhere).new(draw) == "the same"
    assert len(drawn) == TRIES
