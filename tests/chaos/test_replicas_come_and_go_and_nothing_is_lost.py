"""Replicas that come and go every few seconds, in order and by kill -9: a task always has one leader."""

from __future__ import annotations

import time
from itertools import cycle

from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import more_settle, under_load

ROUNDS = 4
EVERY = 3.0


def test_orders_go_on_while_replicas_come_and_go(open_cluster: OpenCluster) -> None:
    chaos = open_cluster({"order": 2, "payment": 2, "inventory": 2})
    ways = cycle([True, False, False])
    with under_load(chaos) as load:
        for number in range(ROUNDS):
            names = [f"{service}-{number % 2}" for service in ("order", "payment", "inventory")]
            for name, at_once in zip(names, ways, strict=False):
                chaos.children.stop(name, at_once=at_once)
            # the time between is the fault: some come back before the group has noticed that they went
            time.sleep(EVERY if number % 2 else 0.5)
            for name in names:
                chaos.children.start(name)
            time.sleep(EVERY)
        more_settle(load)
