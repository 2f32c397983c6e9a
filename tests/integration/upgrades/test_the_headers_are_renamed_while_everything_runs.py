"""The code of an older commit beside today's: it knows the extensions' headers by their old names alone."""

from __future__ import annotations

from pathlib import Path

from tests.integration.upgrades.rolling import OTHERS, Rolling
from tests.support.system import System
from tests.support.waiting import eventually

OLD = ("correlationid", "cause", "keyversion")
ALONE = {"EVENTBUS_OLD_HEADERS": "false"}


def test_old_and_new_code_read_each_other_until_the_old_names_are_turned_off(
    system: System, landed: Path, held: Path
) -> None:
    """All go on with today's code, one goes back and forward, then the old names are turned off: nobody notices."""
    rolling = Rolling(system, landed)
    with rolling.watched():
        rolling.orders.place(4)
        for replica in rolling.others.values():
            replica.restart(held)
        rolling.roll(held, *rolling.order)
        rolling.roll(landed, rolling.order[1])
        rolling.roll(held, rolling.order[1])
        for replica in rolling.others.values():
            replica.restart(held, **ALONE)
        rolling.roll(held, *rolling.order, during=4, **ALONE)
        (last,) = rolling.orders.place(1)
        rolling.check_nothing_lost_or_doubled(held)
    assert rolling.orders.refused == 0, "a customer was sent away by both replicas"
    rolling.check_no_dead_letter()
    written = [raw for raw in system.topics.read("order.events") if raw.key == last.encode()]
    assert written and not any(raw.header(name) for raw in written for name in OLD), (
        "the old names are still there"
    )
    for replica in rolling.replicas:
        for trouble in ("passed over", "stands still", "Traceback"):
            assert not replica.says(trouble), replica.running.tail(40)
    rolling.check_rebuilt_identical_and_replayed(held)


def test_what_old_code_passed_over_is_there_once_it_is_upgraded(
    system: System, landed: Path, held: Path
) -> None:
    """The old names were turned off too early: a replica with old code takes own events for those of a stranger."""
    rolling = Rolling(system, landed, **dict.fromkeys(OTHERS, held))
    older, newer = rolling.order
    newer.restart(held, **ALONE).wait_ready()
    rolling.wait_shared()
    rolling.orders.place(16, at=newer)
    eventually(lambda: older.says("passed over"), "the replica with old code passes own events over")
    rolling.roll(held, older, during=4, **ALONE)
    rolling.check_nothing_lost_or_doubled(held)
    rolling.check_no_dead_letter()
    for order in rolling.orders.accepted:
        assert older.running.get(f"/orders/{order}").json() == newer.running.get(f"/orders/{order}").json()
    rolling.check_rebuilt_identical_and_replayed(held)
