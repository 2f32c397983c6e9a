"""Systems that are hurt: one broker for all files that need no more, and a cluster of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tools.stack.cluster import LocalCluster
from verification.chaos.cluster import ChaosCluster, Placement

OpenCluster = Callable[..., ChaosCluster]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.broker)
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def lone_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster of one broker, for faults that do not need more."""
    with LocalCluster(tmp_path_factory.mktemp("lone"), 1, heap="384m") as cluster:
        yield cluster


@pytest.fixture
def cluster(lone_broker: LocalCluster) -> LocalCluster:
    """The brokers the sites of a test are made on."""
    return lone_broker


@pytest.fixture
def open_cluster(cluster: LocalCluster, tmp_path: Path) -> Iterator[OpenCluster]:
    """Starts clusters with topics and processes of their own and shared tasks; they end with the test."""
    with ExitStack() as stack:

        def make(
            replicas: int | Mapping[str, int] = 1,
            placements: Mapping[str, Placement] | None = None,
            **env: str,
        ) -> ChaosCluster:
            prefix = f"t{uuid.uuid4().hex[:8]}."
            known = {
                "EVENTBUS_TOPIC_PREFIX": prefix,
                "ORDER_DEADLINE": "60s",
                "PAYMENT_SUCCESS_RATE": "1",
                **env,
            }
            chaos = ChaosCluster(tmp_path / prefix, replicas=replicas, env=known, cluster=cluster)
            chaos.placements.update(placements or {})
            stack.enter_context(chaos)
            chaos.wait_shared()
            return chaos

        yield make
