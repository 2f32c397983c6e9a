"""Forged reports: what contradicts the order is a dead letter and changes nothing; the genuine one still applies."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from eventbus import Message, Mismatch
from eventbus.testing import given
from schemas import InventoryFailed, Item, OrderCreated, PaymentFailed
from tests.unit.order.orders import (
    CANCELLED,
    CREATED,
    CUPS,
    DECLINED,
    HELD,
    ORDER,
    REFUND,
    RESERVED,
    SHORT,
    SUCCEEDED,
    VOID,
)

POT = Item(product_id="pot", quantity=1, unit_price=0)
FORGERIES: list[tuple[Message, dict[str, Any], str]] = [
    (SUCCEEDED, {"amount": 1, "currency": "JPY"}, "is over 1 JPY, not 5.10 GBP"),
    (SUCCEEDED, {"amount": 509}, "is over 5.09 GBP, not 5.10 GBP"),
    (SUCCEEDED, {"currency": "EUR"}, "is over 5.10 EUR, not 5.10 GBP"),
    (SUCCEEDED, {"currency": "x\n"}, r"is over 510 minor units of 'x\n', not 5.10 GBP"),
    (REFUND, {"amount": 511}, "is over 5.11 GBP, not 5.10 GBP"),
    (DECLINED, {"amount": 1}, "is over 0.01 GBP, not 5.10 GBP"),
    (DECLINED, {"product_id": "pot", "quantity": 2}, "is about 2 of product 'pot', not 0"),
    (DECLINED, {"items": (POT,)}, "names other items"),
    (HELD, {"items": (replace(CUPS, quantity=1),)}, "names other items"),
    (HELD, {"items": ()}, "names other items"),
    (HELD, {"items": (CUPS, POT)}, "names other items"),
    (SHORT, {"product_id": "pot"}, "is about 2 of product 'pot', not 0"),
    (SHORT, {"quantity": 3}, "is about 3 of product 'cup', not 2"),
    (SHORT, {"items": (POT,)}, "names other items"),
]
HISTORIES: list[tuple[Message, ...]] = [(CREATED,), (CREATED, RESERVED), (CREATED, CANCELLED)]


@pytest.mark.parametrize("past", HISTORIES, ids=lambda past: past[-1].name)
@pytest.mark.parametrize(("genuine", "change", "contradiction"), FORGERIES)
def test_forged_reports_are_refused_and_the_genuine_one_applies(
    genuine: Message, change: dict[str, Any], contradiction: str, past: tuple[Message, ...]
) -> None:
    scenario = given(ORDER, *past)
    forged: Message = replace(genuine, **change)  # type: ignore[type-var]
    with pytest.raises(
        Mismatch, match=re.escape(f"{genuine.name} of order 'o1' {contradiction}: find out who sent it")
    ):
        scenario.when(forged)
    assert scenario.when(genuine).outputs or genuine is HELD


def test_forged_reports_are_refused_also_after_the_genuine_one() -> None:
    scenario = given(ORDER, CREATED).when(SUCCEEDED)
    with pytest.raises(Mismatch):
        scenario.when(replace(SUCCEEDED, amount=1))
    scenario.when(SUCCEEDED).then()


def test_what_a_report_leaves_out_contradicts_nothing() -> None:
    for report in (
        PaymentFailed(order_id="o1", user_id="anne", reason="-"),
        VOID,
        replace(SHORT, items=()),
    ):
        assert given(ORDER, CREATED).when(report).outputs


def test_lines_of_one_product_may_be_reported_merged_or_apart() -> None:
    order = replace(CREATED, items=(CUPS, POT, replace(CUPS, quantity=3)), product_id=None, quantity=None)
    apart = replace(HELD, items=order.items)
    merged = replace(HELD, items=(POT, replace(CUPS, quantity=5)))
    for report in (apart, merged, replace(SHORT, quantity=5)):
        assert given(ORDER, order).when(report).outputs


def test_reports_of_version_1_name_one_product_and_no_money() -> None:
    """An upcast fills their items in, at a price of 0, and their amount stays 0."""
    item = replace(CUPS, unit_price=0)
    failed = PaymentFailed(
        order_id="o1", user_id="anne", product_id="cup", quantity=2, reason="-", version="1.0", items=(item,)
    )
    short = replace(SHORT, version="1.0", items=(item,))
    for report in (failed, short):
        assert given(ORDER, CREATED).when(report).outputs
    assert isinstance(short, InventoryFailed)
    for report in (replace(failed, quantity=3), replace(short, product_id="pot")):
        with pytest.raises(Mismatch):
            given(ORDER, CREATED).when(report)


def test_an_order_of_version_1_in_an_old_log_is_paid_with_nothing() -> None:
    old = OrderCreated(
        order_id="o1",
        user_id="anne",
        product_id="cup",
        quantity=2,
        version="1.0",
        items=(replace(CUPS, unit_price=0),),
    )
    paid = given(ORDER, old).when(replace(SUCCEEDED, amount=0, charge_id=None))
    assert [e.name for e in paid.when(HELD).outputs if isinstance(e, Message)] == [
        "OrderReserved",
        "OrderConfirmed",
    ]
