"""Clients post far more orders than the system can settle. The accepted ones are answered at once and settle. The
others get 429 and a time to retry. The backlog drains."""

from __future__ import annotations

import os

import httpx
import pytest

from services.order.admission import FREE_ORDERS
from tests.integration.loaded import load
from tests.support.system import System, problem
from tests.support.waiting import eventually
from tools.load.generate import Plan

PACE = 40
"""Orders a second that payment can settle here: so many calls at once, each of a tenth of a second, as make it."""
ORDER_MAX_LAG = 10
SECONDS = float(os.environ.get("SPIKE", "15"))


@pytest.mark.timeout(420 + 2 * SECONDS)
def test_a_spike_at_five_times_the_pace(system: System) -> None:
    simulator = system.simulator(SIMULATOR_LATENCY="100")
    (payment,) = system.start("payment", EVENTBUS_MAX_IN_FLIGHT=str(PACE // 10))
    order, inventory = system.start("order", "inventory", ORDER_MAX_LAG=str(ORDER_MAX_LAG))
    system.stock(inventory, 1_000, "cup")
    plan, refusals = Plan(5 * PACE, SECONDS), list[httpx.Response]()
    with load(system, order, inventory, plan, patience=300) as measured:

        def refused() -> bool:
            request = {"userId": "anne", "productId": "cup", "quantity": 1}
            answer = order.post("/orders", json=request)
            refusals.extend([answer] if answer.status_code == 429 else [])
            return bool(refusals)

        eventually(refused, "it is too much", timeout=SECONDS + 60, every=0.5)
        found = measured.result()
    result = found.result()

    assert set(result["answers"]) == {"202", "429"}, result
    assert result["notSettled"] == 0, "every order that was accepted settles"
    assert set(result["ends"]) == {"CONFIRMED"}
    took = sorted(one.answered - one.sent for one in found.sent if one.order)
    waited = [s.at - one.due for one in found.sent if (s := found.settled.get(one.order))]
    assert took[len(took) * 99 // 100] < max(waited) / 4, "accepted long before it is settled"
    ends = [settled.at for settled in found.settled.values()]
    pace = len(ends) / (max(ends) - min(ends))  # below PACE on a busy machine
    assert max(waited) < 2 * max(FREE_ORDERS / pace, ORDER_MAX_LAG), (
        "nobody waits for much more than ORDER_MAX_LAG, or than for those few"
    )
    (answer, *_) = refusals
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert problem(answer)["title"] == "Too many orders"
    assert order.metric("order_refused_for_load_total", reason="lag") > 0
    # What was refused was not written, and all is quiet again.
    accepted = result["answers"]["202"]
    created = {m.key for m in system.topics.messages("order.events") if m.name == "OrderCreated"}
    assert accepted <= len(created) <= accepted + 100
    assert order.post("/orders", json={"userId": "a", "productId": "cup", "quantity": 1}).status_code == 202
    assert simulator.doubles() == []
    assert payment.is_ready()
