"""Withdrawing a charge, through the HTTP gateway at the simulator: a key that was not used never will be."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus import Retryable
from services.payment.decider import Charge, Declined, Withdraw, Withdrawn
from services.payment.gateway import Result
from services.payment.idempotent_gateway import IdempotentGateway
from tests.unit.payment.test_http_gateway import order, serving, simulator

KEY = "charge:o1:1"


async def test_a_key_that_was_not_used_is_taken_out_of_use(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        first = await gateway.void(KEY, order_id="o1", amount=600, currency="EUR")
        again = await gateway.void(KEY, order_id="o1", amount=600, currency="EUR")
        late = await gateway.charge(KEY, order_id="o1", amount=600, currency="EUR", payment_method="tok_ok")
    assert [r.result for r in (first, again, late)] == [Result.VOIDED] * 3
    assert [r.replayed for r in (first, again, late)] == [False, True, True]


@pytest.mark.parametrize(
    ("method", "result"), [("tok_ok", Result.SUCCEEDED), ("tok_declined", Result.DECLINED)]
)
async def test_what_was_charged_before_stays_so(tmp_path: Path, method: str, result: Result) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        await gateway.charge(KEY, order_id="o1", amount=600, currency="EUR", payment_method=method)
        found = await gateway.void(KEY, order_id="o1", amount=600, currency="EUR")
    assert (found.result, found.replayed) == (result, True)


async def test_a_charge_whose_answer_never_came_is_paid_back(tmp_path: Path) -> None:
    late = order("tok_timeout")
    async with serving(simulator(tmp_path), patience=2.0) as (gateway, _):
        with pytest.raises(Retryable):
            await IdempotentGateway(gateway).call(Charge(late))
        withdrawn = await IdempotentGateway(gateway).call(Withdraw(late))
    assert isinstance(withdrawn, Withdrawn)
    assert withdrawn.charge_id and withdrawn.refund_id


async def test_one_that_never_reached_the_books_is_closed(tmp_path: Path) -> None:
    late = order("tok_unavailable")
    async with serving(simulator(tmp_path)) as (gateway, _):
        with pytest.raises(Retryable):
            await IdempotentGateway(gateway).call(Charge(late))
        assert await IdempotentGateway(gateway).call(Withdraw(late)) == Withdrawn(late)
        again = await IdempotentGateway(gateway).call(Charge(order()))
    assert again == Declined(order(), "the charge was withdrawn")
