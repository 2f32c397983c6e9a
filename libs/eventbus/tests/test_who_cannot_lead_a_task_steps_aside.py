"""A replica that newer code has left behind leaves its group, so that others lead its tasks; never all of them do."""

from __future__ import annotations

from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from eventbus.model.places import Entity, Partition, Position
from eventbus.processing.aside import LONGEST, LOOK, PAUSE, SPREAD, Aside
from eventbus.processing.follower import Follower, Stop
from eventbus.processing.tasks import Tasks

LOG, INPUT = "parcel.events", Partition("parcel.commands", 1)
ENTITY = Entity(LOG, "a")


class Replica:
    """What a replica sees of its tasks and logs. Two tasks of three are assigned to it."""

    def __init__(self) -> None:
        self.now, self.away = 0.0, False
        self.assigned, self.led = {0, 1}, {0, 1}
        self.assigned_all = False
        self.stopped: dict[Partition, Stop] = {}
        self.work: dict[Partition, int] = {}
        self.late: dict[Entity, int] = {}
        self.dice, self.refuses = 0.0, 0
        self.moves: list[str] = []
        self.aside = Aside(
            cast(Tasks, self), cast(Follower, self), self.overdue, lambda: self.dice, lambda: self.now
        )

    def stop(self, task: int, newer: bool = True) -> None:
        self.stopped[Partition(LOG, task)] = Stop(Position(LOG, task, 5), "it cannot be read", newer)
        self.led.discard(task)

    def backlog(self) -> dict[Partition, int]:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, None, False, True))
        return self.work.copy()

    def overdue(self, but: set[int]) -> set[tuple[Entity, int]]:
        return set() if but == {0, 1, 2} else set(self.late.items())

    def leave_group(self) -> None:
        self.moves.append("leaves")

    def enter_group(self) -> None:
        if self.refuses:
            self.refuses -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, None, False, True))
        self.moves.append("enters")

    def wait(self, seconds: float) -> list[str]:
        """Turns for so many seconds; returns what it did in them."""
        self.moves, until = [], self.now + seconds
        while self.now <= until:
            self.aside.turn()
            self.now += 0.5
        return self.moves


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_it_leaves_if_it_is_assigned_a_task_that_newer_code_has_led(replica: Replica) -> None:
    assert replica.wait(10) == []
    replica.stop(1)
    assert replica.wait(1) == ["leaves"] and replica.aside.is_aside


def test_it_stays_if_the_task_is_not_assigned_to_it(replica: Replica) -> None:
    replica.stop(2)
    assert replica.wait(60) == []


def test_it_stays_if_newer_code_could_not_read_the_record_either(replica: Replica) -> None:
    replica.stop(1, newer=False)
    assert replica.wait(60) == []


def test_it_stays_if_it_may_be_the_last_member(replica: Replica) -> None:
    replica.stop(1)
    replica.assigned_all = True
    assert replica.wait(60) == []


def test_it_stays_away_while_another_gets_on_with_the_task(replica: Replica) -> None:
    replica.stop(1)
    replica.wait(1)
    for upto in range(10):
        replica.work[INPUT] = replica.late[ENTITY] = upto
        assert replica.wait(LOOK - 1) == []


def test_it_stays_away_while_there_is_no_work(replica: Replica) -> None:
    replica.stop(1)
    replica.wait(1)
    assert replica.wait(600) == []


def test_it_enters_again_when_the_record_is_set_aside(replica: Replica) -> None:
    replica.stop(1)
    replica.wait(1)
    replica.stopped.clear()
    assert replica.wait(0) == ["enters"], "at once"
    assert replica.wait(60) == []


def test_it_enters_again_when_nobody_gets_on_with_any_task(replica: Replica) -> None:
    """The replica of newer code may be gone: then this one leads at least what it can."""
    replica.stop(1)
    replica.wait(1)
    replica.work[Partition(INPUT.topic, 0)] = 7
    assert replica.wait(2 * LOOK) == ["enters"]


def test_it_enters_again_when_nobody_decides_what_is_overdue(replica: Replica) -> None:
    """No input comes, and the others are gone: deadlines pass and parked messages wait."""
    replica.stop(1)
    replica.wait(1)
    replica.late[ENTITY] = 7
    assert replica.wait(2 * LOOK) == ["enters"]


def test_it_leaves_at_a_random_moment_and_stays_if_all_others_have_left_by_then(replica: Replica) -> None:
    replica.dice = 0.9
    replica.stop(1)
    assert replica.wait(0.8 * SPREAD) == []
    replica.assigned_all = True
    assert replica.wait(SPREAD) == []
    replica.assigned_all = False
    assert replica.wait(0.8 * SPREAD) == [], "the moment is chosen anew"
    assert replica.wait(0.2 * SPREAD) == ["leaves"]


def test_it_tries_again_to_enter_if_kafka_refuses_for_a_moment(replica: Replica) -> None:
    replica.stop(1)
    replica.wait(1)
    replica.stopped.clear()
    replica.refuses = 3
    assert replica.wait(5) == ["enters"] and not replica.aside.is_aside


def test_if_nobody_can_lead_the_task_it_leaves_ever_more_seldom(replica: Replica) -> None:
    """The record is forged, or all code is too old: the other tasks need this replica."""
    replica.stop(1)
    replica.work[INPUT] = 7
    assert replica.wait(2 * LOOK + 1) == ["leaves", "enters"]
    assert replica.wait(PAUSE - 2) == []
    assert replica.wait(2 * LOOK + 2) == ["leaves", "enters"]
    moves = replica.wait(24 * 3600)
    assert moves.count("leaves") <= 24 * 3600 / LONGEST + 10


def test_it_waits_for_brokers_that_are_away(replica: Replica) -> None:
    replica.stop(1)
    replica.wait(1)
    replica.work[INPUT], replica.away = 7, True
    assert replica.wait(60) == [] and replica.aside.is_aside
    replica.away = False
    assert replica.wait(2 * LOOK) == ["enters"]
