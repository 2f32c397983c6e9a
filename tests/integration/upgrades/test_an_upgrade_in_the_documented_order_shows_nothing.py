"""A rolling upgrade as docs/how-to/upgrade.md says: replica by replica, first held, then released. Nobody notices."""

from __future__ import annotations

from tests.integration.upgrades.rolling import Rolling
from tests.support.processes import ROOT
from tests.support.system import System
from verification.trees import Release


def test_readers_first_and_then_writers_and_back(system: System, release: Release) -> None:
    """An own event, a foreign event, a command and a new event: forward in two steps, back by one, forward again."""
    rolling = Rolling(system)
    with rolling.watched():
        rolling.orders.place(4)
        for replica in rolling.others.values():
            replica.restart(release.held)
        rolling.roll(release.held, *rolling.order)
        for replica in rolling.others.values():
            replica.wait_ready()
        written_held = versions(system)
        rolling.roll(ROOT, rolling.order[1])  # back before the release
        rolling.roll(release.held, rolling.order[1])

        rolling.roll(release.released, *rolling.order)
        rolling.wait_ended()
        written = versions(system)

        rolling.roll(release.held, *rolling.order)  # back by one step after it
        rolling.roll(release.released, rolling.order[0])
        rolling.check_nothing_lost_or_doubled(release.released)
    assert len(written) > len(written_held), "nothing new was written: this test tested nothing"
    assert rolling.orders.refused == 0, "a customer was sent away by both replicas"
    rolling.check_no_dead_letter()
    for replica in rolling.replicas:
        for trouble in ("unknown schema", "passed over", "stands still", "Traceback"):
            assert not replica.says(trouble), replica.running.tail(40)
    rolling.check_rebuilt_identical_and_replayed(release.released)


def versions(system: System) -> set[bytes]:
    """The schemas of what stands in the topics of orders, and the types."""
    records = [raw for topic in ("order.commands", "order.events") for raw in system.topics.read(topic)]
    return {raw.value[:5] for raw in records if raw.value} | {
        (raw.header("ce_type") or "").encode() for raw in records
    }
