"""When a new order is too much: the rule, and what it costs a caller."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from eventbus import Bus, HoldStatus
from schemas import CreateOrder
from services.order.admission import COUNT_EVERY, FREE_ORDERS, MAX_RETRY_AFTER, STALLED_AFTER, Admission
from services.order.settings import OrderSettings
from services.order.timeline import Timeline
from tests.unit.order.memory_bus import HttpClient, MemoryBus
from tests.unit.order.orders import CANCEL, CREATE, CUPS, DECLINED, HELD, ORDER, SHORT, SUCCEEDED

BODY = {"userId": "anne", "productId": "cup", "quantity": 1}


class Load:
    """Orders that come and settle by a clock of the test."""

    def __init__(self, **limits: float) -> None:
        self.bus = MemoryBus(ORDER)
        self.now = 100.0
        settings = OrderSettings.model_validate(limits)
        self.admission = Admission(cast(Bus, self.bus), settings, clock=lambda: self.now)
        self.created = self.settled = 0

    def second(self, created: int, settled: int) -> None:
        """Another second passes."""
        for _ in range(4):
            self.now += 0.25
            self.created += created / 4  # type: ignore[assignment]
            self.settled += settled / 4  # type: ignore[assignment]
            self.bus.query("DELETE FROM order_tally")
            self.bus.query("INSERT INTO order_tally VALUES (0, ?, ?, 0)", (self.created, self.settled))
            self.admission.refusal()

    def reason(self) -> str | None:
        refusal = self.admission.refusal()
        return refusal.reason if refusal else None


def test_what_keeps_pace_is_taken() -> None:
    load = Load()
    for _ in range(20):
        load.second(500, 500)
        assert load.reason() is None


def test_a_backlog_that_takes_too_long_at_the_present_pace_is_too_much_until_it_has_drained() -> None:
    load = Load(max_lag=10)
    for _ in range(5):
        load.second(100, 100)
    seconds = 0
    while load.reason() is None:
        load.second(500, 100)
        seconds += 1
    assert seconds == 3
    refusal = load.admission.refusal()
    assert refusal is not None and refusal.retry_after == 2
    assert (
        refusal.detail
        == "1200 orders are open; at 100 a second the last would settle in 12 s. Ask again in 2 s."
    )
    load.second(0, 100)
    assert load.reason() == "lag"
    load.second(0, 100)
    assert load.reason() is None


def test_few_are_never_too_many() -> None:
    load = Load(max_lag=1)
    load.second(FREE_ORDERS, 1)
    load.second(0, 0)
    assert load.reason() is None


def test_while_nothing_settles_orders_are_taken_up_to_the_limit() -> None:
    load = Load(max_open=5_000)
    for _ in range(3):
        load.second(400, 400)
    for _ in range(int(STALLED_AFTER) + 1):
        load.second(500, 0)
    assert load.reason() is None
    for _ in range(9):
        load.second(500, 0)
    refusal = load.admission.refusal()
    assert refusal is not None and (refusal.reason, refusal.retry_after) == ("open", MAX_RETRY_AFTER)


def test_when_it_goes_on_after_an_outage_orders_are_taken_as_before() -> None:
    load = Load(max_lag=10)
    for _ in range(5):
        load.second(400, 400)
    for _ in range(10):
        load.second(400, 0)
        assert load.reason() is None
    for settled in (1, 30, 400, 500):
        load.second(400, settled)
        assert load.reason() is None


def test_a_few_that_settle_during_an_outage_are_no_pace() -> None:
    load = Load(max_lag=10)
    for _ in range(5):
        load.second(400, 400)
    for _ in range(20):
        load.second(400, 4)
    assert load.reason() is None


def test_orders_that_are_held_do_not_count() -> None:
    load = Load(max_open=2_000)
    load.bus.waiting = {f"o{n}": HoldStatus("payment", 3, 0, True) for n in range(1_500)}
    load.second(3_000, 0)
    assert load.reason() is None
    load.second(1_000, 0)
    assert load.reason() == "open"


def test_commands_that_are_not_decided_are_too_many_sooner() -> None:
    load = Load(max_undecided=10)
    load.bus.behind = 10
    assert load.reason() is None
    load.bus.behind = 11
    assert load.reason() == "undecided"


def test_what_is_not_decided_is_counted_a_hundred_times_a_second_and_near_the_limit_for_each_order() -> None:
    load = Load(max_undecided=100)
    load.reason()
    load.bus.counted = 0
    for _ in range(50):
        assert load.reason() is None
        load.admission.accepted(1)
    assert load.bus.counted == 0, "those accepted since are known"
    load.bus.behind = 51
    load.admission.accepted(1)
    for behind in range(51, 101):
        load.bus.behind = behind
        assert load.reason() is None
    assert load.bus.counted == 50
    load.bus.behind = 101
    assert load.reason() == "undecided"


def test_what_others_leave_undecided_is_noticed_within_ten_milliseconds() -> None:
    load = Load(max_undecided=100)
    assert load.reason() is None
    load.bus.behind = 101
    load.now += COUNT_EVERY
    assert load.reason() == "undecided"


def test_after_a_quiet_time_a_burst_is_judged_by_its_own_pace() -> None:
    load = Load(max_lag=10)
    load.second(1, 1)
    load.now += 3_600
    load.second(1_500, 300)
    assert load.reason() is None


def test_the_tally_counts_each_order_once() -> None:
    bus = MemoryBus(ORDER)
    for order_id in ("confirmed", "cancelled", "failed", "open"):
        bus.happens(replace(CREATE, order_id=order_id))
    for order_id in ("confirmed", "cancelled"):
        bus.happens(replace(SUCCEEDED, order_id=order_id))
        bus.happens(replace(HELD, order_id=order_id))
    bus.happens(replace(CANCEL, order_id="cancelled"))
    bus.happens(replace(CANCEL, order_id="cancelled"))
    bus.happens(replace(DECLINED, order_id="failed"))
    bus.happens(replace(CREATE, order_id="refused", items=()))
    [row] = bus.query("SELECT created, settled FROM order_tally")
    assert tuple(row) == (4, 3)
    bus.happens(replace(CANCEL, order_id="open"))
    [row] = bus.query("SELECT created, settled FROM order_tally")
    assert tuple(row) == (4, 4)


def test_m1_the_tally_counts_the_lines_that_wait_for_inventory() -> None:
    bus = MemoryBus(ORDER)

    def lines() -> int:
        [row] = bus.query(Timeline.tally)
        return int(row["lines"])

    three = replace(CREATE, items=(CUPS, CUPS, CUPS))
    for order_id in ("held", "short", "cancelled", "expired", "refused"):
        bus.happens(replace(three, order_id=order_id, items=() if order_id == "refused" else three.items))
    assert lines() == 12
    bus.happens(replace(SUCCEEDED, order_id="held", amount=3 * 510))
    assert lines() == 12, "payment has nothing to do with it"
    bus.happens(replace(HELD, order_id="held", items=three.items))
    assert lines() == 9
    bus.happens(replace(CANCEL, order_id="held"))
    assert lines() == 9, "its reservation was answered before"
    bus.happens(replace(SHORT, order_id="short", quantity=6))
    bus.happens(replace(CANCEL, order_id="cancelled"))
    bus.expires("expired")
    assert lines() == 0
    bus.happens(replace(HELD, order_id="cancelled", items=three.items))
    assert lines() == 0, "an answer that comes late"


def test_m1_too_many_lines_are_too_much_however_few_the_orders() -> None:
    load = Load(max_lines=4_000)
    for _ in range(2):
        load.admission.accepted(2_000)
    load.bus.behind = 2
    assert load.reason() is None
    load.admission.accepted(2_000)
    load.bus.behind = 3
    refusal = load.admission.refusal()
    assert refusal is not None and refusal.reason == "lines"
    assert refusal.detail == "6000 lines of orders wait for inventory. Ask again in 5 s."
    load.bus.behind = 0
    assert load.reason() is None, "they are decided: from now on the tally counts them"
    load.bus.query("INSERT INTO order_tally VALUES (7, 3, 0, 4001)")
    load.now += 1
    assert load.reason() == "lines"


def test_m1_the_lines_of_an_order_count_from_its_acceptance(client: HttpClient, bus: MemoryBus) -> None:
    bus.stalled = True
    lines = [{"productId": "cup", "quantity": 1}] * 2_000
    for _ in range(51):
        assert client.post("/orders", json={"userId": "anne", "items": lines}).status_code == 202
        bus.behind += 1
    refused = client.post("/orders", json=BODY)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")


def test_too_much_is_429_with_retry_after_and_nothing_is_sent(client: HttpClient, bus: MemoryBus) -> None:
    bus.behind = 1_001
    for headers in ({}, {"Idempotency-Key": "new"}):
        answer = client.post("/orders", json=BODY, headers=headers)
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["detail"] == "1001 commands are not decided yet. Ask again in 1 s."
    assert bus.sent == []


@pytest.mark.parametrize("path", ["/orders/o1/cancel", "/orders/o1/complete"])
def test_what_ends_orders_is_never_too_much(path: str, client: HttpClient, bus: MemoryBus) -> None:
    bus.happens(CREATE)
    bus.happens(SUCCEEDED)
    bus.happens(HELD)
    bus.behind = 1_001
    assert client.post(path).status_code == 202


def test_a_repeat_of_an_accepted_order_is_answered(client: HttpClient, bus: MemoryBus) -> None:
    key = {"Idempotency-Key": "again"}
    first = client.post("/orders", json=BODY, headers=key)
    bus.behind = 1_001
    again = client.post("/orders", json=BODY, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["orderId"] == first.json()["orderId"]
    assert [type(m) for m in bus.sent] == [CreateOrder]
