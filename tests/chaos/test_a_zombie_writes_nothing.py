"""A replica stands still for longer than its session and goes on: what it was about to write must not be written."""

from __future__ import annotations

import time

import pytest

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import more_settle, others_lead, under_load


@pytest.mark.parametrize("seconds", [8.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_replica_that_was_frozen_writes_nothing_it_may_not(
    open_cluster: OpenCluster, seconds: float
) -> None:
    services = ("order", "payment", "inventory")
    chaos = open_cluster(dict.fromkeys(services, 2))
    with under_load(chaos) as load:
        frozen_at = time.monotonic()
        for service in services:
            chaos.child(f"{service}-1").freeze()
        others_lead(chaos, services, timeout=30)
        more_settle(load)
        time.sleep(max(0.0, frozen_at + seconds - time.monotonic()))
        for service in services:
            chaos.child(f"{service}-1").thaw()
        more_settle(load)
