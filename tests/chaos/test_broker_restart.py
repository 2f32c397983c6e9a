"""The one broker ends, in order or by kill -9, and comes back: every service goes on by itself."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import OpenSite
from tests.chaos.trial import load, more_settle
from tools.stack.cluster import LocalCluster


@pytest.mark.parametrize("way", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
def test_a_broker_that_is_restarted(cluster: LocalCluster, open_site: OpenSite, way: str) -> None:
    site, broker = open_site(), cluster.brokers[0]
    with load(site) as shopping:
        broker.kill() if way == "killed" else broker.stop()
        broker.start()
        more_settle(shopping, timeout=90)
