"""The full table: what every message leads to in every status."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from eventbus import Message, Mismatch
from eventbus.testing import given
from schemas import (
    CancelOrder,
    CancelRefused,
    CommandRepeated,
    CompleteOrder,
    CompleteRefused,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderRefused,
)
from services.order.decider import Status
from services.order.rules import REPEATS
from tests.unit.order.orders import (
    CANCEL,
    CANCELLED,
    COMPLETE,
    COMPLETED,
    CONFIRMED,
    CREATE,
    CREATED,
    FAILED_INVENTORY,
    FAILED_PAYMENT,
    HELD,
    MESSAGES,
    NOT_RESERVED,
    ORDER,
    PAID,
    RESERVED,
    SUCCEEDED,
    T0,
    UNPAID,
)

COMPLETE_REFUSED = CompleteRefused(order_id="o1", status="NEW", reason="there is no such order")
HISTORIES: dict[str, tuple[Message, ...]] = {
    "NEW": (),
    "CREATED": (CREATED,),
    "PROCESSING/paid": (CREATED, PAID),
    "PROCESSING/reserved": (CREATED, RESERVED),
    "CONFIRMED": (CREATED, PAID, RESERVED, CONFIRMED),
    "COMPLETED": (CREATED, PAID, RESERVED, CONFIRMED, COMPLETED),
    "FAILED/payment": (CREATED, UNPAID, FAILED_PAYMENT),
    "FAILED/inventory": (CREATED, NOT_RESERVED, FAILED_INVENTORY),
    "FAILED/refused": (OrderRefused(order_id="o1", user_id="anne", reason="no items", fingerprint="f1"),),
    "CANCELLED": (CREATED, CANCELLED),
}

# Columns as in MESSAGES; "poison" is a Mismatch, which records nothing;
# "-" is a report that was recorded before; the events are named without "Order".
TABLE = """
                    | Create   | Cancel         | Complete         | Succeeded     | PayFailed           | Refunded         | Voided               | Reserved           | InvFailed               | Released         | Shipped
NEW                 | Created  | CancelRefused  | CompleteRefused  | poison        | poison              | poison           | poison               | poison             | poison                  | poison           | poison
CREATED             | Repeated | Cancelled      | CompleteRefused  | Paid          | PaymentFailed Failed | Refunded Failed | PaymentVoided Failed | Reserved           | ReservationFailed Failed | Released Failed | Shipped
PROCESSING/paid     | Repeated | Cancelled      | CompleteRefused  | -             | PaymentFailed Failed | Refunded Failed | PaymentVoided Failed | Reserved Confirmed | ReservationFailed Failed | Released Failed | Shipped Confirmed
PROCESSING/reserved | Repeated | Cancelled      | CompleteRefused  | Paid Confirmed | PaymentFailed Failed | Refunded Failed | PaymentVoided Failed | -                 | ReservationFailed Failed | Released Failed | Shipped
CONFIRMED           | Repeated | Cancelled      | Completed        | -             | PaymentFailed       | Refunded         | PaymentVoided        | -                  | ReservationFailed       | Released         | Shipped
COMPLETED           | Repeated | CancelRefused  | Repeated         | -             | PaymentFailed       | Refunded         | PaymentVoided        | -                  | ReservationFailed       | Released         | Shipped
FAILED/payment      | Repeated | CancelRefused  | CompleteRefused  | Paid          | -                   | Refunded         | PaymentVoided        | Reserved           | ReservationFailed       | Released         | Shipped
FAILED/inventory    | Repeated | CancelRefused  | CompleteRefused  | Paid          | PaymentFailed       | Refunded         | PaymentVoided        | Reserved           | -                       | Released         | Shipped
FAILED/refused      | Repeated | CancelRefused  | CompleteRefused  | poison        | poison              | poison           | PaymentVoided        | poison             | poison                  | Released         | Shipped
CANCELLED           | Repeated | Repeated       | CompleteRefused  | Paid          | PaymentFailed       | Refunded         | PaymentVoided        | Reserved           | ReservationFailed       | Released         | Shipped
"""  # noqa: E501 - a table is read across

ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()[1:]]
CASES = [
    pytest.param(name, message, cell, id=f"{name}-{message.name}")
    for name, *cells in ROWS
    for message, cell in zip(MESSAGES, cells, strict=True)
]


def test_the_table_has_every_status_and_every_input() -> None:
    assert {given(ORDER, *past).state.status for past in HISTORIES.values()} == set(Status)
    assert {row[0] for row in ROWS} == set(HISTORIES)
    assert {type(message) for message in MESSAGES} == set(ORDER.inputs)


@pytest.mark.parametrize(("history", "message", "expected"), CASES)
def test_every_message_in_every_status(history: str, message: Message, expected: str) -> None:
    scenario = given(ORDER, *HISTORIES[history])
    if expected == "poison":
        with pytest.raises(Mismatch):
            scenario.when(message)
        return
    outputs = scenario.when(message).outputs
    names = [o.name.removeprefix("Order").removeprefix("Command") for o in outputs if isinstance(o, Message)]
    assert " ".join(names) == expected.removeprefix("-")


@pytest.mark.parametrize(("history", "message", "expected"), CASES)
def test_a_settled_order_stays_settled_and_a_message_twice_changes_nothing_more(
    history: str, message: Message, expected: str
) -> None:
    if expected == "poison":
        return
    scenario = given(ORDER, *HISTORIES[history])
    once = scenario.when(message)
    if scenario.state.settled:
        assert once.state.settled
    twice = once.when(message).state
    assert structs.replace(twice, repeats=0) == structs.replace(once.state, repeats=0)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(
    "message", [m for m in MESSAGES if m.name in ("CreateOrder", "CancelOrder", "CompleteOrder")]
)
def test_m5_what_changes_nothing_leaves_so_many_events_and_no_more(history: str, message: Message) -> None:
    scenario = given(ORDER, *HISTORIES[history]).when(message)
    if isinstance(scenario.outputs[0], CommandRepeated | CancelRefused | CompleteRefused):
        scenario = given(ORDER, *HISTORIES[history])
    events = 0
    for _ in range(50):
        scenario = scenario.when(message)
        events += len(scenario.outputs)
    assert events == REPEATS == scenario.state.repeats


def test_m5_what_does_change_something_is_decided_however_much_was_refused_before() -> None:
    scenario = given(ORDER, *[COMPLETE_REFUSED] * 3_000)  # as an old log may have it
    scenario.when(COMPLETE).then()
    created = scenario.when(CREATE)
    assert [type(e) for e in created.outputs] == [OrderCreated] and created.state.repeats == 3_000
    assert [type(e) for e in created.when(CANCEL).outputs] == [OrderCancelled]
    assert [type(e) for e in created.when(SUCCEEDED).when(HELD).when(COMPLETE).outputs] == [OrderCompleted]


@pytest.mark.parametrize("command", [COMPLETE, CANCEL])
def test_m5_a_command_that_left_no_event_is_not_carried_out_when_offsets_are_reset(
    command: CancelOrder | CompleteOrder,
) -> None:
    """It was refused when the order did not allow it yet. Read again, it meets an order that would."""
    refused = [COMPLETE_REFUSED] * REPEATS
    created, confirmed = replace(CREATED, timestamp=T0 + 1), replace(CONFIRMED, timestamp=T0 + 2)
    open_ = given(ORDER, *refused, created)
    for order in (open_, given(ORDER, *refused, created, PAID, RESERVED, confirmed)):
        order.when(command).then()
        order.when(replace(command, timestamp=0)).then()
        later = replace(command, timestamp=T0 + 3)
        assert order.when(later).outputs or (order is open_ and command is COMPLETE)
    assert given(ORDER, *refused[1:], created).when(CANCEL).outputs, (
        "within the bound everything leaves an event"
    )
