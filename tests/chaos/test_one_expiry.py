"""Two replicas never both expire one order, though one of them slept through the deadline and thinks it leads."""

from __future__ import annotations

import json
import time

import pytest

from tests.chaos.conftest import OpenSite
from tests.support.topics import Topics
from tests.support.waiting import eventually
from tools.chaos.site import PARTITIONS, Site
from tools.stack.ready import request

DEADLINE = 6.0
ORDERS = 24


def place(site: Site) -> str:
    body = {"userId": "anne", "items": [{"productId": "cup", "quantity": 1}]}
    status, text = request(f"{site.urls('order')[0]}/orders", body)
    assert status == 202, text
    order: str = json.loads(text)["orderId"]
    return order


@pytest.mark.parametrize("seconds", [DEADLINE + 4.0, pytest.param(DEADLINE + 30.0, marks=pytest.mark.slow)])
def test_one_of_two_leaders_expires_an_order(open_site: OpenSite, seconds: float) -> None:
    site = open_site({"order": 2}, ORDER_DEADLINE=f"{DEADLINE:g}s")
    # nothing settles, so that the deadline must
    site.children.stop("payment-0")
    topics = Topics(site.kafka)
    try:
        placed = {place(site) for _ in range(ORDERS)}
        eventually(lambda: placed <= {m.key for m in topics.messages("order.events")}, "all are created", 20)
        frozen_at = time.monotonic()
        site.child("order-1").freeze()
        eventually(lambda: site.leads("order-0") == PARTITIONS, "the other leads all tasks", 30)

        def ends() -> list[str]:
            return [m.key for m in topics.messages("order.events") if m.name == "OrderFailed"]

        eventually(lambda: set(ends()) == placed, "every order has expired", 40)
        time.sleep(max(0.0, frozen_at + seconds - time.monotonic()))
        site.child("order-1").thaw()
        site.children.start("payment-0")
        site.wait_ready()
        verdict = site.audit(wait=30.0)
        assert sorted(ends()) == sorted(placed), "an order expired twice"
        assert verdict.clean and not verdict.open, (verdict.violations, verdict.open)
        assert verdict.orders == {"FAILED": ORDERS}
    finally:
        topics.close()
