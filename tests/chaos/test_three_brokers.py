"""Three brokers: the coordinator of a group and the leader of a log are killed under load, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import OpenSite
from tests.chaos.trial import load, more_settle
from tests.support.waiting import eventually
from tools.stack.cluster import LocalCluster
from tools.stack.kafka import LocalKafka
from verification.chaos.site import Site


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
def test_the_coordinator_and_a_leader_are_killed(cluster: LocalCluster, open_site: OpenSite) -> None:
    site: Site = open_site({"order": 2, "payment": 2})
    with load(site) as shopping:
        coordinator = cluster.coordinator(site.kafka.topic("order"))
        lose(cluster, coordinator)
        more_settle(shopping, timeout=60)
        back(cluster, coordinator)
        leader = cluster.leader(site.kafka.topic("order.events"), 0)
        lose(cluster, leader)
        more_settle(shopping, timeout=60)
        back(cluster, leader)
