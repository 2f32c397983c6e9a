"""Three brokers: the coordinator of a group and the leader of a log are killed under load, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import more_settle, under_load
from tests.support.waiting import eventually
from tools.stack.cluster import LocalCluster
from tools.stack.kafka import LocalKafka
from verification.chaos.cluster import ChaosCluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three brokers; of every partition there are three copies, two of which must have what is acknowledged."""
    with LocalCluster(tmp_path / "kafka") as three:
        yield three


def lose(cluster: LocalCluster, broker: LocalKafka) -> None:
    """Kill a broker and return when the others have taken its place."""
    broker.kill()
    eventually(lambda: cluster.members() == cluster.count - 1, "the cluster knows that it is gone", 30)


def back(cluster: LocalCluster, broker: LocalKafka) -> None:
    """Start it again and return when it has caught up."""
    broker.start()
    eventually(cluster.is_whole, "all replicas are in sync", 60)


@pytest.mark.slow
def test_orders_go_on_after_coordinator_and_leader_are_killed(
    cluster: LocalCluster, open_cluster: OpenCluster
) -> None:
    chaos: ChaosCluster = open_cluster({"order": 2, "payment": 2})
    with under_load(chaos) as load:
        coordinator = cluster.coordinator(chaos.kafka.topic("order"))
        lose(cluster, coordinator)
        more_settle(load, timeout=60)
        back(cluster, coordinator)
        leader = cluster.leader(chaos.kafka.topic("order.events"), 0)
        lose(cluster, leader)
        more_settle(load, timeout=60)
        back(cluster, leader)
