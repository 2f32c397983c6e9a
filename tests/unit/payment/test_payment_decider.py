"""Payment's rules: every message in every status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from eventbus import Event, Message, Mismatch, Outcome, Request
from eventbus.testing import given, no_call
from schemas import (
    ChargeWithdrawn,
    Contact,
    Item,
    OrderCancelled,
    OrderCreated,
    OrderFailed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentVoided,
)
from services.payment.decider import (
    Charge,
    Charged,
    Declined,
    Payment,
    Refund,
    Refunded,
    Status,
    Withdraw,
    Withdrawn,
    payment_reactor,
)

PAYMENT = payment_reactor(no_call)
CREATED = OrderCreated(
    order_id="o1",
    user_id="u1",
    items=(
        Item(product_id="p1", quantity=2, unit_price=255),
        Item(product_id="p2", quantity=1, unit_price=90),
    ),
    currency="EUR",
    total_amount=600,
    contact=Contact(email="ann@example.com"),
)
FREE = OrderCreated(order_id="o1", user_id="u1", currency="EUR", total_amount=0)
ORDER_FAILED = OrderFailed(order_id="o1", user_id="u1", stage="INVENTORY", reason="Insufficient inventory")
CANCELLED = OrderCancelled(order_id="o1", user_id="u1")

SUCCEEDED = PaymentSucceeded(order_id="o1", user_id="u1", amount=600, currency="EUR", charge_id="ch_1")
SUCCEEDED_FREE = PaymentSucceeded(order_id="o1", user_id="u1", amount=0, currency="EUR", charge_id=None)
FAILED = PaymentFailed(
    order_id="o1",
    user_id="u1",
    reason="card declined",
    items=CREATED.items,
    amount=600,
    currency="EUR",
    contact=CREATED.contact,
)
REFUNDED = PaymentRefunded(order_id="o1", amount=600, currency="EUR", refund_id="re_1")
REFUNDED_FREE = PaymentRefunded(order_id="o1", amount=0, currency="EUR", refund_id=None)
VOIDED_BY_FAILURE = PaymentVoided(order_id="o1", reason="OrderFailed came before the charge")
VOIDED_BY_CANCEL = PaymentVoided(order_id="o1", reason="OrderCancelled came before the charge")

REFUND = Refund("o1", 600, "EUR", "ch_1")

PASTS: dict[str, list[Event]] = {
    "NEW": [],
    "PAID": [SUCCEEDED],
    "PAID for nothing": [SUCCEEDED_FREE],
    "FAILED": [FAILED],
    "REFUNDED": [SUCCEEDED, REFUNDED],
    "VOIDED": [VOIDED_BY_CANCEL],
}
INPUTS: dict[str, Message] = {
    "OrderCreated": CREATED,
    "OrderCreated for nothing": FREE,
    "OrderFailed": ORDER_FAILED,
    "OrderCancelled": CANCELLED,
}
TABLE: dict[tuple[str, str], list[Message | Request]] = {
    ("OrderCreated", "NEW"): [Charge(CREATED)],
    ("OrderCreated for nothing", "NEW"): [SUCCEEDED_FREE],
    ("OrderCreated", "VOIDED"): [Withdraw(CREATED)],
    ("OrderFailed", "NEW"): [VOIDED_BY_FAILURE],
    ("OrderCancelled", "NEW"): [VOIDED_BY_CANCEL],
    ("OrderFailed", "PAID"): [REFUND],
    ("OrderCancelled", "PAID"): [REFUND],
    ("OrderFailed", "PAID for nothing"): [REFUNDED_FREE],
    ("OrderCancelled", "PAID for nothing"): [REFUNDED_FREE],
}
ANSWERS: dict[tuple[Outcome, str], Event] = {
    (Charged(CREATED, "ch_1"), "NEW"): SUCCEEDED,
    (Declined(CREATED, "card declined"), "NEW"): FAILED,
    (Refunded(REFUND, "re_1"), "PAID"): REFUNDED,
}
OUTCOMES: tuple[Outcome, ...] = (
    Charged(CREATED, "ch_1"),
    Declined(CREATED, "card declined"),
    Refunded(REFUND, "re_1"),
)


FORGED = {
    (other, status) for other in ("OrderCreated for nothing",) for status in ("PAID", "FAILED", "REFUNDED")
}
"""The payment was over another amount."""


@pytest.mark.parametrize("past", PASTS)
@pytest.mark.parametrize("name", INPUTS)
def test_every_message_in_every_status(name: str, past: str) -> None:
    scenario = given(PAYMENT, *PASTS[past])
    if (name, past) in FORGED:
        with pytest.raises(Mismatch, match=r"is over 0.00 EUR, but the payment was over 6.00 EUR"):
            scenario.when(INPUTS[name])
    else:
        scenario.when(INPUTS[name]).then(*TABLE.get((name, past), []))


@pytest.mark.parametrize(
    ("change", "contradiction"),
    [
        ({"total_amount": 599}, "has a total of 5.99 EUR, but its items are worth 6.00 EUR"),
        ({"total_amount": -5}, "has a total of -0.05 EUR"),
        ({"currency": "JPYX"}, "is in 'JPYX', which is no currency"),
        ({"currency": "\x1b[2J"}, r"is in '\\x1b\[2J', which is no currency"),
        ({"items": ()}, "its items are worth 0.00 EUR"),
        ({"items": (replace(CREATED.items[0], quantity=-1),)}, "has -1 pieces"),
        ({"items": (replace(CREATED.items[0], quantity=0),), "total_amount": 0}, "has 0 pieces"),
        ({"items": (replace(CREATED.items[0], unit_price=-1),)}, "at -1 minor units"),
    ],
)
def test_forged_orders_that_contradict_themselves_are_not_charged(
    change: dict[str, Any], contradiction: str
) -> None:
    for past in PASTS.values():
        with pytest.raises(Mismatch, match=contradiction):
            given(PAYMENT, *past).when(replace(CREATED, **change))


@pytest.mark.parametrize("past", ["NEW", "PAID", "FAILED", "REFUNDED", "VOIDED"])
@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: type(o).__name__)
def test_an_answer_is_only_taken_in_the_status_that_asked(outcome: Outcome, past: str) -> None:
    scenario = given(PAYMENT, *PASTS[past])
    expected = ANSWERS.get((outcome, past))
    if expected is not None:
        scenario.when(outcome).then(expected)
    else:
        with pytest.raises(ValueError, match=past):
            scenario.when(outcome)


@pytest.mark.parametrize(
    ("past", "state"),
    [
        ([], Payment()),
        ([SUCCEEDED], Payment(Status.PAID, 600, "EUR", "ch_1", user_id="u1")),
        ([SUCCEEDED_FREE], Payment(Status.PAID, 0, "EUR", None, user_id="u1")),
        ([FAILED], Payment(Status.FAILED, 600, "EUR", user_id="u1")),
        ([SUCCEEDED, REFUNDED], Payment(Status.REFUNDED, 600, "EUR", "ch_1", user_id="u1")),
        ([VOIDED_BY_CANCEL], Payment(Status.VOIDED, in_doubt=True)),
    ],
)
def test_what_the_log_says_is_all_a_payment_knows(past: Sequence[Event], state: Payment) -> None:
    assert given(PAYMENT, *past).state == state


def test_an_order_that_failed_is_refunded_once() -> None:
    paid = given(PAYMENT).when(CREATED).when(Charged(CREATED, "ch_1"))
    refunded = paid.when(ORDER_FAILED).then(REFUND).when(Refunded(REFUND, "re_1")).then(REFUNDED)
    refunded.when(ORDER_FAILED).then()
    refunded.when(CANCELLED).then()


def test_an_order_cancelled_before_it_was_charged_never_is() -> None:
    """A process may have died between a charge and its record: so the gateway is asked, once."""
    voided = given(PAYMENT).when(CANCELLED).then(VOIDED_BY_CANCEL).when(CREATED).then(Withdraw(CREATED))
    voided.when(Withdrawn(CREATED)).then(ChargeWithdrawn(order_id="o1")).when(CREATED).then()
    charged = voided.when(Withdrawn(CREATED, "ch_1", "re_1")).then(SUCCEEDED, REFUNDED)
    charged.when(CREATED).then()
    given(PAYMENT, VOIDED_BY_CANCEL).when(FREE).then()


def test_a_declined_order_is_not_charged_again() -> None:
    given(PAYMENT).when(CREATED).when(Declined(CREATED, "card declined")).then(FAILED).when(CREATED).then()


def test_one_item_is_named_in_the_failure() -> None:
    order = OrderCreated(order_id="o1", user_id="u1", product_id="p1", quantity=3, total_amount=300)
    given(PAYMENT).when(Declined(order, "card declined")).then(
        PaymentFailed(
            order_id="o1", user_id="u1", product_id="p1", quantity=3, reason="card declined", amount=300
        )
    )
