"""A large order asks for a few products at a time, so that small orders come in between.

Letters are products, one piece of each.
"""

from __future__ import annotations

from eventbus.testing import Scenario, given
from schemas import (
    InventoryFailed,
    InventoryReserved,
    Item,
    OrderCreated,
    ProductRefused,
    ProductReleased,
    ProductReserved,
    ReleaseStock,
    ReserveStock,
    ShipStock,
    StockReserved,
)
from services.inventory.reservation import WAVE, Reservation, reservation_decider
from services.inventory.stock import stock_decider
from tests.unit.inventory.reservations import (
    CANCELLED,
    COMPLETED,
    RELEASED,
    RELEASING,
    SHIPPING,
    answer,
)


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


def test_m1_a_wave_that_was_raised_would_leave_products_out() -> None:
    """Why ``WAVE`` is never raised: waves of two left c for later, and waves of three believe it was asked for."""
    scenario = given(reservation_decider(3), state=after_reserving().state).when(answer("a", "RESERVED", 1))
    assert scenario.outputs[1:] == reserve("d")
