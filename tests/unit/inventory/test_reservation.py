"""The order half of inventory: all products of an order or none of them."""

from __future__ import annotations

import pytest

from eventbus import Poison
from eventbus.testing import given
from schemas import (
    InventoryReserved,
    OrderCreated,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ReservationStarted,
    ReserveStock,
)
from services.inventory.reservation import reservation_decider
from tests.unit.inventory.reservations import (
    ALL_RESERVED,
    CANCELLED,
    COMPLETED,
    CREATED,
    CUP_RELEASED,
    CUP_RESERVED,
    CUP_SHIPPED,
    FAILED,
    HISTORIES,
    POT_REFUSED,
    POT_RELEASED,
    POT_RESERVED,
    POT_SHIPPED,
    POT_SHORT,
    RELEASE_ALL,
    RELEASED,
    RELEASING,
    SHIP_ALL,
    SHIPPED,
    SHIPPING,
    STARTED,
    VOIDED,
    an_order,
    answer,
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
