"""The stock half of inventory: stock never goes below zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from eventbus import Event, Message
from eventbus.testing import Scenario, given
from schemas import (
    AdjustStock,
    ReleaseStock,
    ReserveStock,
    ShipStock,
    StockAdjusted,
    StockAnswered,
    StockRefused,
    StockReleased,
    StockRepeated,
    StockReserved,
    StockShipped,
)
from services.inventory.stock import MAX_PIECES, Stock, stock_decider

RESERVE = ReserveStock(product_id="cup", order_id="o1", quantity=4)
RELEASE = ReleaseStock(product_id="cup", order_id="o1")
SHIP = ShipStock(product_id="cup", order_id="o1")

TEN = StockAdjusted(product_id="cup", quantity=10, reason="delivery", available_qty=10)
RESERVED = StockReserved(product_id="cup", order_id="o1", quantity=4, available_qty=6)
RELEASED = StockReleased(product_id="cup", order_id="o1", quantity=4, available_qty=10)
TOMBSTONE = StockReleased(product_id="cup", order_id="o1", quantity=0, available_qty=10)
SHIPPED = StockShipped(product_id="cup", order_id="o1", quantity=4, available_qty=6)


def refused(
    command: str, quantity: int, available_qty: int, reason: str, order_id: str | None = "o1"
) -> StockRefused:
    return StockRefused(
        product_id="cup",
        order_id=order_id,
        command=command,
        quantity=quantity,
        available_qty=available_qty,
        reason=reason,
    )


def answered(outcome: str, quantity: int, available_qty: int) -> StockAnswered:
    return StockAnswered(
        order_id="o1", product_id="cup", outcome=outcome, quantity=quantity, available_qty=available_qty
    )


def adjustment(quantity: int, adjustment_id: str | None = None, fingerprint: str = "") -> AdjustStock:
    return AdjustStock(
        product_id="cup",
        quantity=quantity,
        reason="count",
        adjustment_id=adjustment_id,
        fingerprint=fingerprint,
    )


def adjusted(
    quantity: int, available_qty: int, adjustment_id: str | None = None, fingerprint: str = ""
) -> StockAdjusted:
    return StockAdjusted(
        product_id="cup",
        quantity=quantity,
        reason="count",
        available_qty=available_qty,
        adjustment_id=adjustment_id,
        fingerprint=fingerprint,
    )


SHORT = refused("ReserveStock", 4, 3, "Insufficient inventory")
HISTORIES: dict[str, tuple[Event, ...]] = {
    "empty": (),
    "plenty": (TEN,),
    "held": (TEN, RESERVED),
    "refused, then restocked": (
        adjusted(3, 3),
        SHORT,
        adjusted(7, 10),
    ),
    "released": (TEN, RESERVED, RELEASED),
    "released before it was reserved": (TEN, TOMBSTONE),
    "shipped": (TEN, RESERVED, SHIPPED),
}
LATE = (refused("ReserveStock", 4, 10, "The order was released before"), answered("REFUSED", 4, 10))
NOTHING_HELD = "Nothing is held for the order"
TABLE: dict[str, dict[str, tuple[Message, ...]]] = {
    "ReserveStock": {
        "empty": (refused("ReserveStock", 4, 0, "Insufficient inventory"), answered("REFUSED", 4, 0)),
        "plenty": (RESERVED, answered("RESERVED", 4, 6)),
        "held": (),
        "refused, then restocked": (),
        "released": LATE,
        "released before it was reserved": LATE,
        "shipped": (),
    },
    "ReleaseStock": {
        "empty": (
            StockReleased(product_id="cup", order_id="o1", quantity=0, available_qty=0),
            answered("RELEASED", 0, 0),
        ),
        "plenty": (TOMBSTONE, answered("RELEASED", 0, 10)),
        "held": (RELEASED, answered("RELEASED", 4, 10)),
        "refused, then restocked": (TOMBSTONE, answered("RELEASED", 0, 10)),
        "released": (),
        "released before it was reserved": (),
        "shipped": (refused("ReleaseStock", 4, 6, "The stock has left"), answered("SHIPPED", 4, 6)),
    },
    "ShipStock": {
        "empty": (refused("ShipStock", 0, 0, NOTHING_HELD), answered("REFUSED", 0, 0)),
        "plenty": (refused("ShipStock", 0, 10, NOTHING_HELD), answered("REFUSED", 0, 10)),
        "held": (SHIPPED, answered("SHIPPED", 4, 6)),
        "refused, then restocked": (refused("ShipStock", 0, 10, NOTHING_HELD), answered("REFUSED", 0, 10)),
        "released": (refused("ShipStock", 0, 10, NOTHING_HELD), answered("REFUSED", 0, 10)),
        "released before it was reserved": (
            refused("ShipStock", 0, 10, NOTHING_HELD),
            answered("REFUSED", 0, 10),
        ),
        "shipped": (),
    },
    "AdjustStock": {
        "empty": (refused("AdjustStock", -6, 0, "Stock would go below zero: 0 available", None),),
        "plenty": (adjusted(-6, 4),),
        "held": (adjusted(-6, 0),),
        "refused, then restocked": (adjusted(-6, 4),),
        "released": (adjusted(-6, 4),),
        "released before it was reserved": (adjusted(-6, 4),),
        "shipped": (adjusted(-6, 0),),
    },
}
COMMANDS: dict[str, Message] = {
    "ReserveStock": RESERVE,
    "ReleaseStock": RELEASE,
    "ShipStock": SHIP,
    "AdjustStock": adjustment(-6),
}


def stock_after(history: str) -> Scenario[Stock]:
    return given(stock_decider(), *HISTORIES[history])


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_history_gives_its_events(command: str, history: str) -> None:
    """Every command in every state."""
    stock_after(history).when(COMMANDS[command]).then(*TABLE[command][history])


def test_the_table_knows_every_input() -> None:
    assert {type(c) for c in COMMANDS.values()} == set(stock_decider().inputs)


@pytest.mark.parametrize("quantity", [0, -1, -MAX_PIECES])
def test_a_reservation_of_nothing_or_less_is_refused(quantity: int) -> None:
    command = ReserveStock(product_id="cup", order_id="o1", quantity=quantity)
    stock_after("plenty").when(command).then(
        refused("ReserveStock", quantity, 10, "The quantity must be positive"),
        answered("REFUSED", quantity, 10),
    )


def test_all_that_is_there_can_be_reserved_and_not_one_more() -> None:
    ten = ReserveStock(product_id="cup", order_id="o1", quantity=10)
    scenario = stock_after("plenty").when(ten)
    assert (scenario.state.available, scenario.state.reserved) == (0, 10)
    one = ReserveStock(product_id="cup", order_id="o2", quantity=1)
    assert isinstance(scenario.when(one).outputs[0], StockRefused)


def test_a_release_that_came_first_refuses_the_reservation_for_good() -> None:
    scenario = stock_after("plenty").when(RELEASE).when(RESERVE)
    scenario.then(*LATE)
    assert scenario.state.available == 10


def test_an_adjustment_by_zero_is_refused() -> None:
    stock_after("plenty").when(adjustment(0)).then(
        refused("AdjustStock", 0, 10, "An adjustment by zero changes nothing", None)
    )


def test_what_is_held_can_not_be_adjusted_away() -> None:
    stock_after("held").when(adjustment(-7)).then(
        refused("AdjustStock", -7, 6, "Stock would go below zero: 6 available", None)
    )


def test_available_and_reserved_together_stay_within_what_a_message_can_say() -> None:
    stock_after("held").when(adjustment(MAX_PIECES - 10)).then(adjusted(MAX_PIECES - 10, MAX_PIECES - 4))
    stock_after("held").when(adjustment(MAX_PIECES - 9)).then(
        refused("AdjustStock", MAX_PIECES - 9, 6, f"Stock would exceed {MAX_PIECES}", None)
    )


def test_an_adjustment_with_an_id_happens_once() -> None:
    first = stock_after("empty").when(adjustment(5, "a1", "f1"))
    first.then(adjusted(5, 5, "a1", "f1"))
    first.when(adjustment(5, "a1", "f1")).then(
        StockRepeated(product_id="cup", adjustment_id="a1", identical=True)
    )
    first.when(adjustment(6, "a1", "f2")).then(
        StockRepeated(product_id="cup", adjustment_id="a1", identical=False)
    )
    first.when(adjustment(5, "a2", "f1")).then(adjusted(5, 10, "a2", "f1"))


def test_a_refused_adjustment_stays_refused_under_its_id() -> None:
    """By now there is enough. But who repeats a request shall get the first answer to it, and no other effect."""
    scenario = stock_after("empty").when(adjustment(-5, "a1", "f1")).when(adjustment(5))
    repeated = scenario.when(adjustment(-5, "a1", "f1"))
    repeated.then(StockRepeated(product_id="cup", adjustment_id="a1", identical=True))
    scenario.when(adjustment(-4, "a1", "f2")).then(
        StockRepeated(product_id="cup", adjustment_id="a1", identical=False)
    )
    scenario.when(adjustment(-5, "a2", "f1")).then(adjusted(-5, 0, "a2", "f1"))


def test_an_adjustment_that_older_code_carried_out_after_a_refusal_counts_as_carried_out() -> None:
    refusal = refused("AdjustStock", -5, 0, "Stock would go below zero: 0 available", None)
    done = adjusted(-5, 0, "a1", "f1")
    past = (replace(refusal, adjustment_id="a1"), adjusted(5, 5), done)
    given(stock_decider(), *past).when(adjustment(-5, "a1", "f1")).then(
        StockRepeated(product_id="cup", adjustment_id="a1", identical=True)
    )
    given(stock_decider(), *past).when(adjustment(-5, "a1", "f2")).then(
        StockRepeated(product_id="cup", adjustment_id="a1", identical=False)
    )


ORDERS = st.sampled_from(["o1", "o2", "o3"])
QUANTITIES = st.integers(-3, 8)
ANY_COMMAND = st.one_of(
    st.builds(ReserveStock, product_id=st.just("cup"), order_id=ORDERS, quantity=QUANTITIES),
    st.builds(ReleaseStock, product_id=st.just("cup"), order_id=ORDERS),
    st.builds(ShipStock, product_id=st.just("cup"), order_id=ORDERS),
    st.builds(adjustment, QUANTITIES, st.sampled_from([None, "a1"]), st.sampled_from(["", "f1"])),
)


@for_all(st.lists(ANY_COMMAND, max_size=30))
def test_whatever_arrives_in_whatever_order_no_piece_is_lost_or_made(commands: list[Message]) -> None:
    scenario = given(stock_decider())
    put = shipped = 0
    for command in commands:
        scenario = scenario.when(command)
        for event in scenario.outputs:
            put += event.quantity if isinstance(event, StockAdjusted) else 0
            shipped += event.quantity if isinstance(event, StockShipped) else 0
        stock = scenario.state
        held = sum(h.quantity for h in stock.holds.changes().values() if h.hold == "HELD")
        assert stock.available >= 0
        assert stock.reserved == held
        assert put == stock.available + held + shipped
