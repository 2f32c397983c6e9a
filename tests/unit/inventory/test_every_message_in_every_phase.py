"""Every input of a reservation in every phase: one table says which events follow."""

from __future__ import annotations

import pytest

from eventbus import Message, Poison
from schemas import (
    ReserveStock,
    StockAnswered,
)
from services.inventory.answers import Answer
from services.inventory.reservation import Phase, reservation_decider
from tests.unit.inventory.reservations import (
    ALL_RESERVED,
    CANCELLED,
    COMPLETED,
    CREATED,
    CUP_RESERVED,
    FAILED,
    HISTORIES,
    POT_REFUSED,
    POT_RELEASED,
    POT_RESERVED,
    POT_SHIPPED,
    POT_SHORT,
    RELEASE_ALL,
    RELEASING,
    SHIP_ALL,
    SHIPPING,
    STARTED,
    VOIDED,
    an_order,
    answer,
)

RESERVE_ALL = (
    ReserveStock(product_id="cup", order_id="o1", quantity=5),
    ReserveStock(product_id="pot", order_id="o1", quantity=1),
)
CONTRADICTION = None
TABLE: dict[str, dict[str, tuple[Message, ...] | None]] = {
    "OrderCreated": {"NEW": (STARTED, *RESERVE_ALL)},
    "OrderFailed": {
        "NEW": (VOIDED,),
        "RESERVING": (RELEASING, *RELEASE_ALL),
        "RESERVING, cup reserved": (RELEASING, *RELEASE_ALL),
        "RESERVED": (RELEASING, *RELEASE_ALL),
        "SHIPPING": CONTRADICTION,
        "SHIPPED": CONTRADICTION,
    },
    "OrderCompleted": {
        **dict.fromkeys(HISTORIES, CONTRADICTION),
        "RESERVED": (SHIPPING, *SHIP_ALL),
        "SHIPPING": (),
        "SHIPPED": (),
    },
    "cup RESERVED": {
        "NEW": (CUP_RESERVED,),
        "VOIDED": (CUP_RESERVED,),
        "RESERVING": (CUP_RESERVED,),
        "RELEASING, settled": (CUP_RESERVED,),
    },
    "pot RESERVED": {
        "NEW": (POT_RESERVED,),
        "VOIDED": (POT_RESERVED,),
        "RESERVING": (POT_RESERVED,),
        "RESERVING, cup reserved": (POT_RESERVED, ALL_RESERVED),
        "RELEASING, settled": (POT_RESERVED,),
    },
    "pot REFUSED": {
        "NEW": (POT_REFUSED,),
        "VOIDED": (POT_REFUSED,),
        "RESERVING": (POT_REFUSED, POT_SHORT, RELEASING, *RELEASE_ALL),
        "RESERVING, cup reserved": (POT_REFUSED, POT_SHORT, RELEASING, *RELEASE_ALL),
        "RELEASING, settled": (POT_REFUSED,),
    },
    "pot RELEASED": {
        "NEW": (POT_RELEASED,),
        "VOIDED": (POT_RELEASED,),
        "RESERVING": (POT_RELEASED, POT_SHORT, RELEASING, *RELEASE_ALL),
        "RESERVING, cup reserved": (POT_RELEASED, POT_SHORT, RELEASING, *RELEASE_ALL),
        "RESERVED": (POT_RELEASED,),
        "RELEASING, short": (POT_RELEASED,),
        "RELEASING, settled": (POT_RELEASED,),
        "SHIPPING": (POT_RELEASED,),
    },
    "pot SHIPPED": {
        "NEW": (POT_SHIPPED,),
        "VOIDED": (POT_SHIPPED,),
        "RESERVING": (POT_SHIPPED,),
        "RESERVING, cup reserved": (POT_SHIPPED,),
        "RESERVED": (POT_SHIPPED,),
        "RELEASING, short": (POT_SHIPPED,),
        "RELEASING, settled": (POT_SHIPPED,),
        "SHIPPING": (POT_SHIPPED,),
    },
}
TABLE["OrderCancelled"] = TABLE["OrderFailed"]
MESSAGES: dict[str, Message] = {
    "OrderCreated": CREATED,
    "OrderFailed": FAILED,
    "OrderCancelled": CANCELLED,
    "OrderCompleted": COMPLETED,
    "cup RESERVED": answer("cup", "RESERVED", 5),
    "pot RESERVED": answer("pot", "RESERVED", 1),
    "pot REFUSED": answer("pot", "REFUSED", 1),
    "pot RELEASED": answer("pot", "RELEASED", 0),
    "pot SHIPPED": answer("pot", "SHIPPED", 1),
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_in_every_history_gives_its_events(message: str, history: str) -> None:
    """Every message in every state; what TABLE leaves out was answered before."""
    expected = TABLE[message].get(history, ())
    if expected is CONTRADICTION:
        with pytest.raises(Poison, match="contradicts its reservation"):
            an_order(history).when(MESSAGES[message])
    else:
        an_order(history).when(MESSAGES[message]).then(*expected)


def test_the_table_knows_every_input_outcome_and_phase() -> None:
    assert {type(m) for m in MESSAGES.values()} == set(reservation_decider().inputs)
    assert {m.outcome for m in MESSAGES.values() if isinstance(m, StockAnswered)} == {a.value for a in Answer}
    assert {an_order(history).state.phase for history in HISTORIES} == set(Phase)


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_decided_twice_counts_once(message: str, history: str) -> None:
    if TABLE[message].get(history, ()) is CONTRADICTION:
        return
    once = an_order(history).when(MESSAGES[message])
    twice = once.when(MESSAGES[message])
    assert twice.state == once.state
