"""A charge that nobody knows the end of: it is on record, and settled together with its order."""

from __future__ import annotations

import pytest

from eventbus import Event, Message, Retryable
from eventbus.testing import given
from schemas import ChargeUnresolved, ChargeWithdrawn, OrderCancelled, OrderFailed
from services.payment.decider import (
    Charge,
    Charged,
    Declined,
    Payment,
    Refund,
    Status,
    Withdraw,
    Withdrawn,
    failed,
    give_up,
    record_doubt,
)
from tests.unit.payment.test_payment_decider import (
    CANCELLED,
    CREATED,
    FAILED,
    ORDER_FAILED,
    PAYMENT,
    REFUNDED,
    SUCCEEDED,
    VOIDED_BY_CANCEL,
    VOIDED_BY_FAILURE,
)

DOUBT = ChargeUnresolved(order_id="o1")
NO_DOUBT = ChargeWithdrawn(order_id="o1")
AWAY = Retryable("away")


def test_a_charge_without_an_answer_is_put_on_record_once() -> None:
    assert record_doubt(Charge(CREATED), Payment(), AWAY) == [DOUBT]
    assert record_doubt(Charge(CREATED), Payment(in_doubt=True), AWAY) == []
    assert record_doubt(Refund("o1", 600, "EUR", "ch_1"), Payment(Status.PAID), AWAY) == []
    assert record_doubt(Withdraw(CREATED), Payment(Status.VOIDED, in_doubt=True), AWAY) == []


def test_while_the_order_is_open_the_charge_is_tried_again() -> None:
    doubtful = given(PAYMENT, DOUBT)
    assert doubtful.state == Payment(in_doubt=True)
    doubtful.when(CREATED).then(Charge(CREATED)).when(Charged(CREATED, "ch_1")).then(SUCCEEDED)
    assert given(PAYMENT, DOUBT, SUCCEEDED).state == Payment(Status.PAID, 600, "EUR", "ch_1", user_id="u1")
    doubtful.when(Declined(CREATED, "card declined")).then(FAILED)


@pytest.mark.parametrize(
    ("settled", "voided"), [(ORDER_FAILED, VOIDED_BY_FAILURE), (CANCELLED, VOIDED_BY_CANCEL)]
)
def test_once_the_order_is_settled_the_charge_is_withdrawn(
    settled: OrderFailed | OrderCancelled, voided: Event
) -> None:
    ended = given(PAYMENT, DOUBT).when(settled).then(voided)
    assert ended.state == Payment(Status.VOIDED, in_doubt=True)
    asked = ended.when(CREATED).then(Withdraw(CREATED))
    over = asked.when(Withdrawn(CREATED)).then(NO_DOUBT)
    assert over.state == Payment(Status.VOIDED)
    over.when(CREATED).then()
    over.when(settled).then()


def test_a_charge_found_to_have_happened_is_on_record_with_its_refund() -> None:
    ended = given(PAYMENT, DOUBT).when(CANCELLED).when(CREATED)
    over = ended.when(Withdrawn(CREATED, "ch_1", "re_1")).then(SUCCEEDED, REFUNDED)
    assert (over.state.status, over.state.in_doubt) == (Status.REFUNDED, False)
    over.when(CREATED).then()
    over.when(CANCELLED).then()


def test_giving_up_fails_the_payment_and_leaves_the_charge_to_be_withdrawn() -> None:
    events: list[Message] = list(give_up(Charge(CREATED), Payment(in_doubt=True), "Retryable: away"))
    assert events == [failed(CREATED, "Retryable: away"), DOUBT]
    given_up = given(PAYMENT, DOUBT, *events)
    assert (given_up.state.status, given_up.state.in_doubt) == (Status.FAILED, True)
    given_up.when(CREATED).then(Withdraw(CREATED)).when(Withdrawn(CREATED)).then(NO_DOUBT).when(
        CREATED
    ).then()
    given_up.when(ORDER_FAILED).then()


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.NEW])
def test_only_a_charge_that_is_open_is_given_up(status: Status) -> None:
    assert give_up(Charge(CREATED), Payment(status), "r") == []
    assert give_up(Refund("o1", 600, "EUR", "ch_1"), Payment(), "r") == []
    assert give_up(Withdraw(CREATED), Payment(status=status), "r") == []
