"""The stock calls, as a storekeeper makes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import uuid4

from tests.e2e.shop import Shop, assert_problem, order_of
from tests.e2e.waiting import until


def test_a_product_shows_what_is_available_and_reserved(shop: Shop) -> None:
    product = shop.stocked(10)
    shop.confirmed(order_of(product, quantity=3))
    found = shop.inventory.get(f"/stock/{product}").json()
    assert found.keys() == {"productId", "availableQty", "reservedQty", "updatedAt"}
    assert (found["productId"], found["availableQty"], found["reservedQty"]) == (product, 7, 3)
    assert datetime.fromisoformat(found["updatedAt"]).tzinfo is not None


def test_a_product_nobody_stocked_is_404(shop: Shop) -> None:
    assert_problem(shop.inventory.get(f"/stock/{uuid4()}"), 404)


def test_goods_come_and_go(shop: Shop) -> None:
    product = shop.stocked(10)
    answer = shop.adjust(product, -4, "broken")
    assert answer.status_code == 202
    assert answer.json()["availableQty"] == 6
    assert shop.adjust(product, 5, "delivery").json()["availableQty"] == 11
    assert shop.stock(product) == (11, 0)


def test_stock_does_not_go_below_zero(shop: Shop) -> None:
    product = shop.stocked(3)
    problem = assert_problem(shop.adjust(product, -4), 409)
    assert (problem["productId"], problem["availableQty"]) == (product, 3)
    shop.confirmed(order_of(product, quantity=2))
    assert_problem(shop.adjust(product, -2), 409)
    assert shop.stock(product) == (1, 2)


def test_an_adjustment_with_a_key_happens_once(shop: Shop) -> None:
    product, key = shop.stocked(10), str(uuid4())
    answers = [shop.adjust(product, 5, **{"Idempotency-Key": key}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert ["idempotent-replay" in answer.headers for answer in answers] == [False, True, True]
    assert shop.stock(product) == (15, 0)
    assert_problem(shop.adjust(product, 6, **{"Idempotency-Key": key}), 422, "Idempotency-Key")
    assert shop.stock(product) == (15, 0)


def test_the_list_is_read_page_by_page(shop: Shop) -> None:
    mine = {shop.stocked(n) for n in range(1, 6)}
    seen: list[str] = []

    def walk() -> bool:
        seen.clear()
        cursor: str | None = None
        while True:
            params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
            page = shop.inventory.get("/stock", params=params).json()
            assert len(page["items"]) <= 3
            seen.extend(item["productId"] for item in page["items"])
            cursor = page["nextCursor"]
            if cursor is None:
                return mine <= set(seen)
            assert len(page["items"]) == 3

    # another replica than the one that decided may show the list
    until(walk, 10, "all new products are listed")
    assert seen == sorted(set(seen))
    everything = shop.inventory.get("/stock", params={"limit": 1000}).json()["items"]
    assert [item["productId"] for item in everything] == seen


def test_a_cursor_of_nobody_is_refused(shop: Shop) -> None:
    assert_problem(shop.inventory.get("/stock", params={"cursor": "%%%"}), 422, "cursor")


def test_adjustments_at_once_never_take_more_than_there_is(shop: Shop) -> None:
    product = shop.stocked(10)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: shop.adjust(product, -1).status_code, range(20)))
    assert sorted(answers) == [202] * 10 + [409] * 10
    assert shop.stock(product) == (0, 0)


def test_orders_at_once_never_reserve_more_than_there_is(shop: Shop) -> None:
    product = shop.stocked(10)
    with ThreadPoolExecutor(10) as pool:
        placed = list(pool.map(lambda _: shop.accepted(order_of(product, quantity=3)), range(10)))
    ends = [shop.settled(order_id)["status"] for order_id in placed]
    assert sorted(ends) == ["CONFIRMED"] * 3 + ["FAILED"] * 7
    shop.await_stock(product, 1, 9)
