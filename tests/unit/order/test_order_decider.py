"""The rules of an order, one sentence each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from eventbus import Poison
from eventbus.testing import given
from schemas import (
    CancelRefused,
    CommandRepeated,
    CompleteRefused,
    Contact,
    CreateOrder,
    Item,
    OrderCreated,
    OrderFailed,
    OrderRefused,
)
from schemas.money import MAX_AMOUNT
from services.order.decider import Inventory, Order, Payment, Status, order_decider
from services.order.rules import Limits
from tests.unit.order.orders import (
    CANCEL,
    CANCELLED,
    COMPLETE,
    COMPLETED,
    CONFIRMED,
    CREATE,
    CREATED,
    CUPS,
    DECLINED,
    FAILED_INVENTORY,
    FAILED_PAYMENT,
    GIVEN_BACK,
    HELD,
    NOT_RESERVED,
    ORDER,
    PAID,
    REFUND,
    REFUNDED,
    RELEASED,
    RESERVED,
    SENT,
    SHIPPED,
    SHORT,
    SUCCEEDED,
    T0,
    UNPAID,
    VOID,
    VOIDED,
)


def refused(command: CreateOrder, field: str, reason: str, limits: Limits | None = None) -> None:
    decider = order_decider(timedelta(minutes=15), limits)
    given(decider).when(command).then(
        OrderRefused(
            order_id=command.order_id, user_id=command.user_id, reason=reason, field=field, fingerprint="f1"
        )
    )


def test_a_new_order_is_created_with_its_total_and_its_deadline() -> None:
    given(ORDER).when(CREATE).then(CREATED)


def test_a_deadline_of_the_commands_own_is_kept() -> None:
    given(ORDER).when(replace(CREATE, deadline_at=T0 + 5)).then(replace(CREATED, deadline_at=T0 + 5))


def test_a_command_of_unknown_time_gets_no_deadline_rather_than_one_long_past() -> None:
    given(ORDER).when(replace(CREATE, timestamp=0)).then(replace(CREATED, deadline_at=None))


def test_an_order_of_many_items_names_no_single_product() -> None:
    items = (CUPS, Item(product_id="plate", quantity=3, unit_price=100))
    given(ORDER).when(replace(CREATE, items=items)).then(
        replace(CREATED, items=items, product_id=None, quantity=None, total_amount=810)
    )


def test_an_order_that_costs_nothing_is_an_order() -> None:
    free = (replace(CUPS, unit_price=0),)
    given(ORDER).when(replace(CREATE, items=free)).then(replace(CREATED, items=free, total_amount=0))


@pytest.mark.parametrize("quantity", [-1, 0, 100_001])
def test_a_quantity_beyond_the_limits_is_refused(quantity: int) -> None:
    command = replace(CREATE, items=(CUPS, replace(CUPS, quantity=quantity)))
    refused(command, "items[1].quantity", f"quantity must be from 1 to 100000, got {quantity}")


def test_the_limits_themselves_are_allowed() -> None:
    most = tuple(replace(CUPS, quantity=100_000) for _ in range(2_000))
    assert isinstance(given(ORDER).when(replace(CREATE, items=most)).outputs[0], OrderCreated)


def test_an_order_without_items_is_refused() -> None:
    refused(replace(CREATE, items=()), "items", "an order needs at least one item")


def test_an_order_with_too_many_items_is_refused() -> None:
    refused(replace(CREATE, items=(CUPS,) * 2_001), "items", "an order has at most 2000 items, got 2001")


def test_the_limits_can_be_set() -> None:
    few = Limits(items=1, quantity=1)
    refused(replace(CREATE, items=(CUPS, CUPS)), "items", "an order has at most 1 items, got 2", few)
    refused(CREATE, "items[0].quantity", "quantity must be from 1 to 1, got 2", few)


def test_a_negative_price_is_refused() -> None:
    command = replace(CREATE, items=(replace(CUPS, unit_price=-1),))
    refused(command, "items[0].unitPrice", "unitPrice must not be negative")


def test_an_unknown_currency_is_refused() -> None:
    refused(replace(CREATE, currency="XXX"), "currency", "unknown currency 'XXX': expected an ISO 4217 code")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"order_id": ""}, "orderId"), ({"user_id": " "}, "userId"), ({"payment_method": ""}, "paymentMethod")],
)
def test_an_empty_id_is_refused(change: dict[str, str], field: str) -> None:
    refused(replace(CREATE, **change), field, f"{field} must not be empty")  # type: ignore[arg-type]


def test_an_empty_product_is_refused() -> None:
    command = replace(CREATE, items=(replace(CUPS, product_id=""),))
    refused(command, "items[0].productId", "productId must not be empty")


def test_an_id_that_would_break_a_line_or_is_very_long_is_refused() -> None:
    refused(replace(CREATE, user_id="a\nb"), "userId", "userId must not have control characters")
    refused(replace(CREATE, user_id="a" * 101), "userId", "userId has at most 100 characters, got 101")


@pytest.mark.parametrize(
    "email", ["ann@example.org\nforged", "nobody", "a@b\x1b[2J", "", "a@b" * 100, "a b@c"]
)
def test_m4_an_address_that_is_none_is_refused_by_the_rule_that_the_api_has(email: str) -> None:
    refused(
        replace(CREATE, contact=Contact(email=email)),
        "contact.email",
        "contact.email must be an e-mail address",
    )


@pytest.mark.parametrize("language", ["../de", "de\nforged", "", "german", "d" * 36])
def test_a_language_that_is_none_is_refused_by_the_rule_that_the_api_has(language: str) -> None:
    refused(
        replace(CREATE, contact=Contact(language=language)),
        "contact.language",
        "contact.language must be a language tag such as de or de-AT",
    )


def test_m6_a_total_that_the_gateway_would_not_take_is_refused() -> None:
    most = replace(CREATE, items=(replace(CUPS, unit_price=MAX_AMOUNT, quantity=1),))
    [created] = given(ORDER).when(most).outputs
    assert isinstance(created, OrderCreated) and created.total_amount == 2**53 - 1
    one_more = replace(CREATE, items=(*most.items, replace(CUPS, unit_price=1, quantity=1)))
    refused(one_more, "items", f"the total amount is too large: at most {MAX_AMOUNT} minor units")


def test_m6_an_order_that_an_old_log_holds_beyond_the_limit_still_folds() -> None:
    old = replace(CREATED, items=(replace(CUPS, unit_price=2**60, quantity=1),), total_amount=2**60)
    assert given(ORDER, old).state.total_amount == 2**60


def test_a_deadline_that_is_no_date_is_refused() -> None:
    refused(
        replace(CREATE, deadline_at=-1),
        "deadlineAt",
        "deadlineAt must be a time before the year 9999, got -1",
    )


def test_a_refused_order_shows_why_it_failed() -> None:
    order = given(ORDER).when(replace(CREATE, items=())).state
    assert order.status is Status.FAILED and order.refused and order.settled
    assert order.failure is not None
    assert (order.failure.stage, order.failure.field) == ("VALIDATION", "items")


def test_the_same_order_again_is_a_repeat() -> None:
    given(ORDER, CREATED).when(replace(CREATE, timestamp=T0 + 99)).then(
        CommandRepeated(order_id="o1", command="CreateOrder", identical=True)
    )


def test_another_order_under_the_same_id_is_a_repeat_that_differs() -> None:
    given(ORDER, CREATED).when(replace(CREATE, fingerprint="f2")).then(
        CommandRepeated(order_id="o1", command="CreateOrder", identical=False)
    )


def test_orders_without_a_fingerprint_are_compared_by_what_they_say() -> None:
    bare, created = replace(CREATE, fingerprint=""), replace(CREATED, fingerprint="")
    repeated = CommandRepeated(order_id="o1", command="CreateOrder", identical=True)
    given(ORDER, created).when(bare).then(repeated)
    given(ORDER, created).when(replace(bare, user_id="bert")).then(replace(repeated, identical=False))


def test_an_order_is_confirmed_when_it_is_paid_and_reserved_in_either_order() -> None:
    given(ORDER, CREATED).when(SUCCEEDED).then(PAID).when(HELD).then(RESERVED, CONFIRMED)
    given(ORDER, CREATED).when(HELD).then(RESERVED).when(SUCCEEDED).then(PAID, CONFIRMED)


def test_one_answer_makes_an_order_processing() -> None:
    assert given(ORDER, CREATED).when(SUCCEEDED).state.status is Status.PROCESSING
    assert given(ORDER, CREATED).when(HELD).state.status is Status.PROCESSING


def test_a_failed_payment_ends_the_order_at_once() -> None:
    given(ORDER, CREATED).when(DECLINED).then(UNPAID, FAILED_PAYMENT)
    given(ORDER, CREATED, RESERVED).when(DECLINED).then(UNPAID, FAILED_PAYMENT)


def test_a_shortage_ends_the_order_at_once() -> None:
    given(ORDER, CREATED).when(SHORT).then(NOT_RESERVED, FAILED_INVENTORY)
    given(ORDER, CREATED, PAID).when(SHORT).then(NOT_RESERVED, FAILED_INVENTORY)


def test_the_second_bad_answer_is_recorded_and_ends_nothing_again() -> None:
    failed = given(ORDER, CREATED).when(DECLINED).when(SHORT).then(NOT_RESERVED)
    assert failed.state.failure is not None and failed.state.failure.stage == "PAYMENT"


def test_a_late_payment_of_a_failed_order_is_recorded_and_so_is_its_refund() -> None:
    scenario = given(ORDER, CREATED).when(SHORT).when(SUCCEEDED).then(PAID).when(REFUND).then(REFUNDED)
    assert (scenario.state.status, scenario.state.payment) == (Status.FAILED, Payment.REFUNDED)


def test_a_branch_undone_before_the_end_fails_the_order_since_it_can_never_be_confirmed() -> None:
    def failed(stage: str, reason: str) -> OrderFailed:
        return replace(FAILED_PAYMENT, stage=stage, reason=reason)

    given(ORDER, CREATED).when(VOID).then(VOIDED, failed("PAYMENT", "order is settled"))
    given(ORDER, CREATED, PAID).when(REFUND).then(REFUNDED, failed("PAYMENT", "the payment was given back"))
    given(ORDER, CREATED, RESERVED).when(GIVEN_BACK).then(
        RELEASED, failed("INVENTORY", "the reservation was given back")
    )


def test_the_same_report_again_is_recorded_once() -> None:
    scenario = given(ORDER, CREATED).when(SUCCEEDED).when(SUCCEEDED).then()
    scenario.when(HELD).then(RESERVED, CONFIRMED).when(SUCCEEDED).then()
    given(ORDER, CREATED, PAID, CANCELLED, REFUNDED).when(SUCCEEDED).then()


@pytest.mark.parametrize("past", [(CREATED,), (CREATED, PAID), (CREATED, PAID, RESERVED, CONFIRMED)])
def test_an_order_can_be_cancelled_until_it_is_completed(past: tuple[object, ...]) -> None:
    given(ORDER, *past).when(CANCEL).then(CANCELLED)


def test_a_cancelled_order_is_cancelled_once() -> None:
    given(ORDER, CREATED, CANCELLED).when(CANCEL).then(CommandRepeated(order_id="o1", command="CancelOrder"))


def test_a_cancelled_order_records_what_is_undone() -> None:
    scenario = given(ORDER, CREATED, PAID, RESERVED, CONFIRMED, CANCELLED)
    end = scenario.when(REFUND).then(REFUNDED).when(GIVEN_BACK).then(RELEASED).state
    assert (end.status, end.payment, end.inventory) == (
        Status.CANCELLED,
        Payment.REFUNDED,
        Inventory.RELEASED,
    )


def test_a_confirmed_order_is_completed_once_and_its_goods_leave() -> None:
    scenario = given(ORDER, CREATED, PAID, RESERVED, CONFIRMED).when(COMPLETE).then(COMPLETED)
    scenario = scenario.when(COMPLETE).then(CommandRepeated(order_id="o1", command="CompleteOrder"))
    assert scenario.when(SENT).then(SHIPPED).state.inventory is Inventory.SHIPPED


def test_an_order_that_is_not_confirmed_cannot_be_completed() -> None:
    given(ORDER, CREATED).when(COMPLETE).then(
        CompleteRefused(order_id="o1", status="CREATED", reason="the order is not confirmed yet")
    )


def test_a_completed_order_cannot_be_cancelled() -> None:
    given(ORDER, CREATED, PAID, RESERVED, CONFIRMED, COMPLETED).when(CANCEL).then(
        CancelRefused(
            order_id="o1", status="COMPLETED", reason="the order is completed: its goods were handed over"
        )
    )


def test_commands_for_an_unknown_order_are_refused_and_it_can_still_be_created() -> None:
    reason = "there is no such order"
    scenario = given(ORDER).when(CANCEL).then(CancelRefused(order_id="o1", status="NEW", reason=reason))
    scenario = scenario.when(COMPLETE).then(CompleteRefused(order_id="o1", status="NEW", reason=reason))
    scenario.when(CREATE).then(CREATED)


def test_a_report_about_an_order_never_created_is_a_dead_letter() -> None:
    with pytest.raises(Poison, match="PaymentSucceeded for order 'o1', which was never created"):
        given(ORDER).when(SUCCEEDED)


def test_where_money_and_goods_stand_does_not_depend_on_the_order_of_the_reports() -> None:
    for reports in permutations((PAID, REFUNDED, NOT_RESERVED, RELEASED)):
        order = given(ORDER, CREATED, CANCELLED, *reports).state
        assert (order.payment, order.inventory) == (Payment.REFUNDED, Inventory.FAILED)


def test_the_state_of_a_new_order_is_all_defaults() -> None:
    assert ORDER.initial == Order() and not Order().settled
