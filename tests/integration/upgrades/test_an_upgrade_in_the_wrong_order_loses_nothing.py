"""Writers before readers, or one replica before the other: what cannot be read waits, nothing is lost or doubled.

Each test begins with today's code and starts the next release in its last state at once, so it writes new versions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.operator import Operator
from tests.integration.upgrades.rolling import OTHERS, Replica, Rolling
from tests.support.processes import ROOT
from tests.support.system import System
from tests.support.waiting import eventually
from verification.trees import COMMAND, FOREIGN_EVENT, NEW_EVENT, OWN_EVENT, Change, Release

ENDS = ("CONFIRMED", "FAILED")
ReleaseOf = Callable[[Change], Release]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(FOREIGN_EVENT, id="B2: a new version of OrderCreated"),
        pytest.param(NEW_EVENT, id="a new event"),
    ],
)
def test_a_replica_that_cannot_read_an_own_event_stands_still_until_it_is_upgraded(
    system: System, release_of: ReleaseOf, change: Change
) -> None:
    new = release_of(change).released
    upgrade_one_replica_first(system, new).check_rebuilt_identical_and_replayed(new)


def test_b1_a_replica_that_stood_still_has_no_hole_and_neither_has_one_that_went_back(
    system: System, release_of: ReleaseOf
) -> None:
    """OrderConfirmed in a new version, which older code cannot read: before its upgrade, and after going back."""
    new = release_of(OWN_EVENT).released
    rolling = upgrade_one_replica_first(system, new)
    older, newer = rolling.order
    with rolling.watched():
        newer.restart(ROOT)
        rolling.orders.place(8, at=older)
        eventually(lambda: stands_still(newer), "the replica that went back says that it stands still")
        newer.restart(new).wait_ready()
        rolling.check_nothing_lost_or_doubled(new)
    rolling.check_no_dead_letter()
    rolling.check_rebuilt_identical_and_replayed(new)


def test_an_older_replica_that_comes_back_leaves_its_tasks_to_the_newer_one(
    system: System, release_of: ReleaseOf
) -> None:
    new = release_of(OWN_EVENT).released
    rolling = Rolling(system, new)
    older, newer = rolling.order
    with rolling.watched():
        for order in rolling.orders.place(12):
            eventually(lambda o=order: rolling.shown(o).get("status") in ENDS, f"{order} has settled")  # type: ignore[misc]
        older.restart(ROOT)
        eventually(lambda: stands_still(older), "the older replica says that it stands still")
        eventually(lambda: older.says("leaves the consumer group"), "the older replica steps aside")
        for order in rolling.orders.place(12, at=newer):
            eventually(lambda o=order: rolling.shown(o).get("status") in ENDS, f"{order} has settled")  # type: ignore[misc]
        assert stands_still(older), "it was not needed for that"
        rolling.roll(new, older)
        rolling.check_nothing_lost_or_doubled(new)


def upgrade_one_replica_first(system: System, new: Path) -> Rolling:
    """All begin with today's code, but the other services; one replica of order writes what the other cannot read."""
    rolling = Rolling(system, **dict.fromkeys(OTHERS, new))
    older, newer = rolling.order
    with rolling.watched() as watch:
        rolling.roll(new, newer)
        # Nothing new is written before the newer one leads a task, so customers go on until it does.
        eventually(
            lambda: rolling.orders.place(1) and stands_still(older),
            "the older replica says that it stands still",
        )
        rolling.orders.place(8)
        assert watch.answers[newer.name, 200], watch.answers
        rolling.roll(new, older)
        rolling.check_nothing_lost_or_doubled(new)
    rolling.check_no_dead_letter()
    return rolling


def stands_still(replica: Replica) -> bool:
    """Whether a replica is not ready and says what to do."""
    try:
        answer = replica.running.get("/readyz")
    except httpx.TransportError:  # it begins
        return False
    return answer.status_code == 503 and "start that code here" in answer.text


def holds(rolling: Rolling, order: str) -> str:
    """The service that holds a message of an order; empty if none does."""
    return str(rolling.shown(order).get("held", {}).get("service", ""))


def test_b3_what_a_reader_cannot_read_is_held_until_it_is_upgraded(
    system: System, release_of: ReleaseOf
) -> None:
    """OrderCreated in a new version reaches payment before payment knows it."""
    new = release_of(FOREIGN_EVENT).released
    rolling = Rolling(system, new, payment=ROOT)
    payment = rolling.others["payment"]
    with rolling.watched():
        held = rolling.orders.place(12)
        for order in held:
            eventually(lambda o=order: holds(rolling, o) == "payment", f"{order} is held")  # type: ignore[misc]
        operator = Operator(system, {"payment": payment.running})
        assert {row["key"] for row in operator.list("--error", "UnknownSchema")} == set(held)
        operator.dlq("redrive", "--yes", code=4)
        assert {row["key"] for row in operator.list("--state", "DEAD")} == set(held)

        Replica(system, "payment", 1).start(new).wait_ready()
        rolling.orders.place(8)
        rolling.roll(new, payment)
        rolling.orders.place(4)
        operator = Operator(system, {"payment": payment.running}, new)
        operator.dlq("redrive", "--yes")
        rolling.check_nothing_lost_or_doubled(new)
        assert operator.list() == []


def test_a_command_that_the_leader_cannot_read_waits_until_it_is_upgraded(
    system: System, release_of: ReleaseOf
) -> None:
    """The API of one replica writes CreateOrder in a new version; the other, which leads half the tasks, is older."""
    new = release_of(COMMAND).released
    rolling = Rolling(system)
    older, newer = rolling.order
    with rolling.watched():
        rolling.roll(new, newer, during=0)
        rolling.wait_shared()
        rolling.orders.place(16, at=newer)
        operator = Operator(system, {"order": newer.running}, new)
        waiting = eventually(
            lambda: operator.list("--error", "UnknownSchema"), "commands wait for newer code"
        )
        assert {row["type"] for row in waiting} == {"CreateOrder"}
        rolling.roll(new, older)
        operator.dlq("redrive", "--yes")
        rolling.check_nothing_lost_or_doubled(new)
        assert operator.list() == []
