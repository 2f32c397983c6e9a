"""The order half of inventory: all products of an order or none of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventbus import Event, Message, Mismatch, Poison
from eventbus.testing import Scenario, given
from schemas import (
    Contact,
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    InventoryShipped,
    Item,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderFailed,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ProductShipped,
    ReleaseStarted,
    ReleaseStock,
    ReservationStarted,
    ReservationVoided,
    ReserveStock,
    ShipmentStarted,
    ShipStock,
    StockAnswered,
    StockReserved,
)
from services.inventory.answers import Answer
from services.inventory.reservation import WAVE, Phase, Reservation, reservation_decider
from services.inventory.stock import stock_decider

ANN = Contact(email="ann@example.org")
ITEMS = (
    Item(product_id="cup", quantity=2, unit_price=255),
    Item(product_id="pot", quantity=1, unit_price=1295),
    Item(product_id="cup", quantity=3, unit_price=199),
)
CREATED = OrderCreated(order_id="o1", user_id="ann", items=ITEMS, total_amount=2402, contact=ANN)
FAILED = OrderFailed(order_id="o1", user_id="ann", stage="PAYMENT", reason="declined")
CANCELLED = OrderCancelled(order_id="o1", user_id="ann")
COMPLETED = OrderCompleted(order_id="o1", user_id="ann")

STARTED = ReservationStarted(order_id="o1", user_id="ann", items=ITEMS, contact=ANN)
CUP_RESERVED = ProductReserved(order_id="o1", product_id="cup", quantity=5)
POT_RESERVED = ProductReserved(order_id="o1", product_id="pot", quantity=1)
POT_REFUSED = ProductRefused(order_id="o1", product_id="pot", quantity=1, available_qty=0)
CUP_RELEASED = ProductReleased(order_id="o1", product_id="cup", quantity=5)
POT_RELEASED = ProductReleased(order_id="o1", product_id="pot", quantity=0)
CUP_SHIPPED = ProductShipped(order_id="o1", product_id="cup", quantity=5)
POT_SHIPPED = ProductShipped(order_id="o1", product_id="pot", quantity=1)
ALL_RESERVED = InventoryReserved(order_id="o1", user_id="ann", items=ITEMS)
POT_SHORT = InventoryFailed(
    order_id="o1",
    user_id="ann",
    product_id="pot",
    quantity=1,
    available_qty=0,
    reason="Insufficient inventory",
    items=ITEMS,
    contact=ANN,
)
RELEASING = ReleaseStarted(order_id="o1")
RELEASED = InventoryReleased(order_id="o1")
SHIPPING = ShipmentStarted(order_id="o1")
SHIPPED = InventoryShipped(order_id="o1")
VOIDED = ReservationVoided(order_id="o1")
RELEASE_ALL = (ReleaseStock(product_id="cup", order_id="o1"), ReleaseStock(product_id="pot", order_id="o1"))
SHIP_ALL = (ShipStock(product_id="cup", order_id="o1"), ShipStock(product_id="pot", order_id="o1"))

HISTORIES: dict[str, tuple[Event, ...]] = {
    "NEW": (),
    "VOIDED": (VOIDED,),
    "RESERVING": (STARTED,),
    "RESERVING, cup reserved": (STARTED, CUP_RESERVED),
    "RESERVED": (STARTED, CUP_RESERVED, POT_RESERVED, ALL_RESERVED),
    "RELEASING, short": (STARTED, CUP_RESERVED, POT_REFUSED, POT_SHORT, RELEASING),
    "RELEASING, settled": (STARTED, RELEASING),
    "RELEASED": (
        STARTED,
        CUP_RESERVED,
        POT_REFUSED,
        POT_SHORT,
        RELEASING,
        CUP_RELEASED,
        POT_RELEASED,
        RELEASED,
    ),
    "SHIPPING": (STARTED, CUP_RESERVED, POT_RESERVED, ALL_RESERVED, SHIPPING),
    "SHIPPED": (
        STARTED,
        CUP_RESERVED,
        POT_RESERVED,
        ALL_RESERVED,
        SHIPPING,
        CUP_SHIPPED,
        POT_SHIPPED,
        SHIPPED,
    ),
}


def an_order(history: str) -> Scenario[Reservation]:
    return given(reservation_decider(), *HISTORIES[history])


def answer(product_id: str, outcome: str, quantity: int, available_qty: int = 0) -> StockAnswered:
    return StockAnswered(
        order_id="o1", product_id=product_id, outcome=outcome, quantity=quantity, available_qty=available_qty
    )


def test_every_product_is_asked_for_once_however_often_the_order_names_it() -> None:
    an_order("NEW").when(CREATED).then(
        STARTED,
        ReserveStock(product_id="cup", order_id="o1", quantity=5),
        ReserveStock(product_id="pot", order_id="o1", quantity=1),
    )


def test_the_last_product_reserved_reserves_the_order() -> None:
    an_order("RESERVING").when(answer("cup", "RESERVED", 5)).then(CUP_RESERVED)
    an_order("RESERVING, cup reserved").when(answer("pot", "RESERVED", 1)).then(POT_RESERVED, ALL_RESERVED)


def test_an_order_of_nothing_has_all_it_wants() -> None:
    empty = OrderCreated(order_id="o1", user_id="ann", items=())
    scenario = given(reservation_decider()).when(empty)
    scenario.then(
        ReservationStarted(order_id="o1", user_id="ann", items=()),
        InventoryReserved(order_id="o1", user_id="ann", items=()),
    )
    scenario.when(CANCELLED).then(RELEASING, RELEASED)
    scenario.when(COMPLETED).then(SHIPPING, SHIPPED)


def test_the_first_shortage_fails_the_order_at_once_and_releases_every_product() -> None:
    an_order("RESERVING, cup reserved").when(answer("pot", "REFUSED", 1)).then(
        POT_REFUSED, POT_SHORT, RELEASING, *RELEASE_ALL
    )


def test_a_product_taken_away_by_hand_while_reserving_is_a_shortage() -> None:
    by_hand = ProductReleased(order_id="o1", product_id="pot", quantity=0)
    an_order("RESERVING").when(answer("pot", "RELEASED", 0)).then(by_hand, POT_SHORT, RELEASING, *RELEASE_ALL)


def test_a_second_shortage_is_recorded_and_fails_nothing_twice() -> None:
    refused = ProductRefused(order_id="o1", product_id="cup", quantity=5, available_qty=4)
    scenario = given(reservation_decider(), STARTED).when(answer("pot", "REFUSED", 1))
    scenario.when(answer("cup", "REFUSED", 5, available_qty=4)).then(refused)


def test_a_reservation_answered_after_the_release_began_needs_no_action() -> None:
    scenario = an_order("RELEASING, settled").when(answer("cup", "RESERVED", 5))
    scenario.then(CUP_RESERVED)
    scenario = scenario.when(answer("cup", "RELEASED", 5))
    scenario.then(CUP_RELEASED)
    scenario.when(answer("pot", "RELEASED", 0)).then(POT_RELEASED, RELEASED)


def test_a_settled_order_is_released_once() -> None:
    scenario = an_order("RESERVED").when(CANCELLED)
    scenario.then(RELEASING, *RELEASE_ALL)
    scenario.when(FAILED).then()


def test_an_order_settled_before_it_came_is_never_reserved() -> None:
    scenario = an_order("NEW").when(FAILED)
    scenario.then(VOIDED)
    scenario.when(CREATED).then()


def test_goods_leave_when_the_order_is_completed() -> None:
    scenario = an_order("RESERVED").when(COMPLETED)
    scenario.then(SHIPPING, *SHIP_ALL)
    scenario = scenario.when(answer("cup", "SHIPPED", 5))
    scenario.then(CUP_SHIPPED)
    scenario.when(answer("pot", "SHIPPED", 1)).then(POT_SHIPPED, SHIPPED)


def test_stock_reserved_past_the_order_is_recorded_and_changes_nothing() -> None:
    foreign = ProductReserved(order_id="o1", product_id="mug", quantity=7)
    for history in HISTORIES:
        scenario = an_order(history)
        after = scenario.when(answer("mug", "RESERVED", 7))
        after.then(foreign)
        assert after.state == scenario.state


def test_an_outcome_nobody_knows_is_poison() -> None:
    with pytest.raises(Poison, match="o1, product cup: unknown outcome 'LOST'"):
        an_order("RESERVING").when(answer("cup", "LOST", 5))


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


def test_an_order_of_two_thousand_products_is_counted_not_searched() -> None:
    items = tuple(Item(product_id=f"p{n}", quantity=1, unit_price=0) for n in range(2000))
    scenario = given(reservation_decider()).when(OrderCreated(order_id="o1", user_id="ann", items=items))
    asked = list(scenario.outputs[1:])
    assert len(asked) == WAVE
    for item in items[:-1]:
        scenario = scenario.when(answer(item.product_id, "RESERVED", 1))
        asked += scenario.outputs[1:]
    last = scenario.when(answer("p1999", "RESERVED", 1))
    assert [type(o) for o in last.outputs] == [ProductReserved, InventoryReserved]
    assert [command.key for command in asked if isinstance(command, ReserveStock)] == [
        item.product_id for item in items
    ]


# Waves: of a large order, so many products at a time. Letters are products, one piece of each.

IN_TWOS = reservation_decider(2)
FIVE = tuple(Item(product_id=p, quantity=1, unit_price=0) for p in "abcde")
FIVE_CREATED = OrderCreated(order_id="o1", user_id="ann", items=FIVE)


def reserve(*products: str) -> list[ReserveStock]:
    return [ReserveStock(product_id=p, order_id="o1", quantity=1) for p in products]


def give_back(*products: str) -> list[ReleaseStock]:
    return [ReleaseStock(product_id=p, order_id="o1") for p in products]


def reserved(product: str) -> ProductReserved:
    return ProductReserved(order_id="o1", product_id=product, quantity=1)


def released(product: str, quantity: int = 0) -> ProductReleased:
    return ProductReleased(order_id="o1", product_id=product, quantity=quantity)


def after_reserving(*products: str) -> Scenario[Reservation]:
    scenario = given(IN_TWOS).when(FIVE_CREATED)
    for product in products:
        scenario = scenario.when(answer(product, "RESERVED", 1))
    return scenario


def test_m1_a_large_order_asks_for_its_first_wave_and_each_answer_asks_for_the_next_product() -> None:
    assert after_reserving().outputs[1:] == reserve("a", "b")
    after_reserving().when(answer("b", "RESERVED", 1)).then(reserved("b"), *reserve("c"))
    after_reserving("b", "a").then(reserved("a"), *reserve("d"))
    after_reserving(*"abc").then(reserved("c"), *reserve("e"))
    after_reserving(*"abcd").then(reserved("d"))
    assert [type(o) for o in after_reserving(*"abcde").outputs] == [ProductReserved, InventoryReserved]


def test_m1_an_answer_that_comes_twice_asks_for_nothing_twice() -> None:
    after_reserving("a").when(answer("a", "RESERVED", 1)).then()


def test_m1_a_shortage_or_a_cancellation_in_a_wave_releases_every_product_in_waves_too() -> None:
    refused = ProductRefused(order_id="o1", product_id="b", quantity=1, available_qty=0)
    short = after_reserving("a").when(answer("b", "REFUSED", 1))
    assert short.outputs[0] == refused and isinstance(short.outputs[1], InventoryFailed)
    assert short.outputs[2:] == [RELEASING, *give_back("a", "b")]
    scenario = after_reserving("a").when(CANCELLED)
    scenario.then(RELEASING, *give_back("a", "b"))
    scenario = scenario.when(answer("b", "RESERVED", 1))
    scenario.then(reserved("b"))  # under way when the order was cancelled: its release is under way as well
    scenario = scenario.when(answer("a", "RELEASED", 1))
    scenario.then(released("a", 1), *give_back("c"))
    for product, following in (("b", "d"), ("c", "e"), ("d", "")):
        scenario = scenario.when(answer(product, "RELEASED", 0))
        scenario.then(released(product), *give_back(*following))
    scenario.when(answer("e", "RELEASED", 0)).then(released("e"), RELEASED)


def test_m1_goods_leave_in_waves() -> None:
    scenario = after_reserving(*"abcde").when(COMPLETED)
    scenario.then(SHIPPING, *(ShipStock(product_id=p, order_id="o1") for p in "ab"))
    scenario = scenario.when(answer("b", "SHIPPED", 1))
    assert scenario.outputs[1:] == [ShipStock(product_id="c", order_id="o1")]


def test_m1_an_order_that_older_code_asked_for_at_once_goes_on_and_waits_for_no_second_answer() -> None:
    """The log of such an order says nothing of it. What the stock half is asked again, it answers with nothing."""
    asked = given(reservation_decider(1_000)).when(FIVE_CREATED)
    assert asked.outputs[1:] == reserve(*"abcde")
    scenario = given(IN_TWOS, state=asked.state)
    for product in "edcb":
        scenario = scenario.when(answer(product, "RESERVED", 1))
        held = given(
            stock_decider(), StockReserved(product_id=product, order_id="o1", quantity=1, available_qty=0)
        )
        held.when(reserve(product)[0]).then()
    last = scenario.when(answer("a", "RESERVED", 1))
    assert [type(o) for o in last.outputs] == [ProductReserved, InventoryReserved]


def test_m1_a_product_that_somebody_reserved_past_the_order_holds_no_wave_up() -> None:
    scenario = after_reserving().when(answer("e", "RESERVED", 1))
    scenario.then(reserved("e"), *reserve("c"))
    for product, following in (("a", "d"), ("b", "e"), ("c", "")):
        scenario = scenario.when(answer(product, "RESERVED", 1))
        scenario.then(reserved(product), *reserve(*following))
    assert isinstance(scenario.when(answer("d", "RESERVED", 1)).outputs[1], InventoryReserved)


# Forged reports: what contradicts the reservation is a dead letter, and the genuine answer still applies.


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(
    ("forged", "genuine"),
    [
        (answer("cup", "RESERVED", 4), answer("cup", "RESERVED", 5)),
        (answer("cup", "REFUSED", 3), answer("cup", "REFUSED", 5)),
        (answer("cup", "RELEASED", 9), answer("cup", "RELEASED", 5)),
        (answer("cup", "SHIPPED", -5), answer("cup", "SHIPPED", 5)),
    ],
    ids=lambda a: f"{a.outcome} {a.quantity}",
)
def test_forged_answers_contradict_the_reservation(
    forged: StockAnswered, genuine: StockAnswered, history: str
) -> None:
    scenario = an_order(history)
    over = forged.outcome in ("RELEASED", "SHIPPED") and history.startswith(("RELEASING", "SHIPPING"))
    if history in ("NEW", "VOIDED") or over:
        scenario.when(forged)  # nothing was asked for, or: any quantity may be released meanwhile
        return
    with pytest.raises(
        Mismatch, match=r"StockAnswered of order 'o1' is .* product 'cup', but 5 were asked for"
    ):
        scenario.when(forged)
    scenario.when(genuine)


def test_forged_shortage_of_nothing_fails_no_order() -> None:
    """Somebody asked to ship what was not reserved yet: the stock half refuses that with quantity 0."""
    with pytest.raises(Mismatch):
        an_order("RESERVING").when(answer("pot", "REFUSED", 0))


def test_forged_orders_that_contradict_themselves_reserve_nothing() -> None:
    with pytest.raises(Mismatch, match=r"has a total of 0.01 GBP, but its items are worth 24.02 GBP"):
        given(reservation_decider()).when(replace(CREATED, total_amount=1))


def test_what_somebody_reserved_past_the_order_is_still_given_back_with_it() -> None:
    """Nine cups are held under the order's id, which is not what it asked for; its release gives them back."""
    scenario = an_order("RELEASING, settled").when(answer("cup", "RELEASED", 9))
    scenario.when(answer("pot", "RELEASED", 0)).then(POT_RELEASED, RELEASED)


def test_m1_a_wave_that_was_raised_would_leave_products_out() -> None:
    """Why ``WAVE`` is never raised: waves of two left c for later, and waves of three believe it was asked for."""
    scenario = given(reservation_decider(3), state=after_reserving().state).when(answer("a", "RESERVED", 1))
    assert scenario.outputs[1:] == reserve("d")
