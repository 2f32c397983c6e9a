"""An order that is not settled by its deadline fails; one that waits somewhere shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventbus import DeadlinePassed, HoldStatus, Message
from eventbus.testing import given
from schemas import OrderFailed
from services.order.state import Inventory, Payment, Status
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import (
    ANNE,
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    CREATE,
    CREATED,
    FAILED_PAYMENT,
    GIVEN_BACK,
    HELD,
    ORDER,
    PAID,
    QUARTER,
    REFUND,
    REFUNDED,
    RELEASED,
    RESERVED,
    SUCCEEDED,
    T0,
    UNPAID,
)

PASSED = DeadlinePassed("o1", T0 + QUARTER)
EXPIRED = OrderFailed(
    order_id="o1", user_id="anne", stage="EXPIRED", reason="it was not settled by its deadline", contact=ANNE
)
OPEN: dict[str, list[Message]] = {
    "created": [CREATED],
    "paid": [CREATED, PAID],
    "reserved": [CREATED, RESERVED],
}
SETTLED: dict[str, list[Message]] = {
    "confirmed": [CREATED, PAID, RESERVED, CONFIRMED],
    "completed": [CREATED, PAID, RESERVED, CONFIRMED, COMPLETED],
    "cancelled": [CREATED, CANCELLED],
    "failed": [CREATED, UNPAID, FAILED_PAYMENT],
    "unknown": [],
}


@pytest.mark.parametrize("past", OPEN)
def test_an_open_order_expires_at_its_deadline(past: str) -> None:
    assert ORDER.deadline is not None
    order = given(ORDER, *OPEN[past])
    assert ORDER.deadline(order.state) == T0 + QUARTER
    expired = order.when(PASSED).then(EXPIRED)
    assert expired.state.status is Status.FAILED
    assert ORDER.deadline(expired.state) is None
    expired.when(PASSED).then()


@pytest.mark.parametrize("past", SETTLED)
def test_a_settled_order_never_expires(past: str) -> None:
    assert ORDER.deadline is not None
    order = given(ORDER, *SETTLED[past])
    assert ORDER.deadline(order.state) is None
    order.when(PASSED).then()


def test_an_order_without_a_deadline_never_expires() -> None:
    assert ORDER.deadline is not None
    assert ORDER.deadline(given(ORDER, replace(CREATED, deadline_at=None)).state) is None


def test_answers_that_come_too_late_are_recorded_and_change_nothing() -> None:
    expired = given(ORDER, CREATED).when(PASSED)
    end = expired.when(SUCCEEDED).then(PAID).when(HELD).then(RESERVED)
    end = end.when(REFUND).then(REFUNDED).when(GIVEN_BACK).then(RELEASED)
    assert (end.state.status, end.state.payment, end.state.inventory) == (
        Status.FAILED,
        Payment.REFUNDED,
        Inventory.RELEASED,
    )


def test_an_order_that_waits_says_where_how_often_tried_and_since_when(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    assert "held" not in client.get("/orders/o1").json()
    bus.waiting["o1"] = HoldStatus("payment", 3, T0, True)
    assert client.get("/orders/o1").json()["held"] == {
        "service": "payment",
        "attempts": 3,
        "since": "2023-11-14T22:13:20.000Z",
    }
    del bus.waiting["o1"]
    assert "held" not in client.get("/orders/o1").json()


def test_an_expired_order_shows_its_stage(client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.expires("o1")
    body = client.get("/orders/o1").json()
    assert (body["status"], body["failure"]["stage"]) == ("FAILED", "EXPIRED")
