"""Large orders and small ones share the stock: the small ones do not wait for all lines of the large ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventbus import Message
from schemas import AdjustStock, InventoryReserved
from tests.integration.history import Shop
from tests.support.audits import assert_clean_audit
from tests.support.system import System
from tests.support.waiting import eventually

LINES = 600
PRODUCTS = [f"p{n}" for n in range(LINES)]


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("large"))
    shop = Shop(system)
    shop.start()
    system.topics.send(
        *(AdjustStock(product_id=p, quantity=1_000, reason="delivery") for p in (*PRODUCTS, "cup"))
    )
    system.wait_consumed("inventory")
    yield shop
    system.close()


def large(shop: Shop, end: str) -> str:
    items = [{"productId": product, "quantity": 1, "unitPrice": "0.01"} for product in PRODUCTS]
    return shop.order(end, items=items)


def progress(shop: Shop, *kinds: str) -> list[Message]:
    return [m for m in shop.system.topics.messages("inventory.events") if m.name in kinds]


def reserved_at(shop: Shop) -> dict[str, int]:
    events = progress(shop, InventoryReserved.name)
    return {e.order_id: e.timestamp for e in events if isinstance(e, InventoryReserved)}


def await_clean_audit(shop: Shop) -> None:
    shop.wait_settled()
    assert_clean_audit(shop.system, shop.simulator)


def test_m1_a_small_order_that_comes_after_large_ones_is_reserved_before_them(shop: Shop) -> None:
    many = [large(shop, "CONFIRMED") for _ in range(4)]
    small = shop.order("CONFIRMED")
    shop.wait_settled()
    at = reserved_at(shop)
    assert all(at[small] < at[order_id] for order_id in many)
    await_clean_audit(shop)


def test_m1_a_large_order_survives_crashes_between_its_waves_and_ends_as_it_should(shop: Shop) -> None:
    """Reserving, cancelled while reserving, and shipping; inventory is killed in each."""
    inventory = shop["inventory"]

    def crash_after(more: int, *kinds: str) -> None:
        before = len(progress(shop, *kinds))
        eventually(lambda: len(progress(shop, *kinds)) >= before + more, f"{more} {kinds}", every=0.02)
        inventory.kill()
        inventory.start().wait_ready()

    kept = large(shop, "CONFIRMED")
    crash_after(30, "ProductReserved")
    dropped = large(shop, "CANCELLED")
    eventually(lambda: progress(shop, "ReservationStarted")[-1].key == dropped, "it is begun", every=0.02)
    assert shop["order"].post(f"/orders/{dropped}/cancel").status_code == 202
    crash_after(30, "ProductReleased")
    shop.wait_settled()
    assert shop["order"].post(f"/orders/{kept}/complete").status_code == 202
    shop.ends[kept] = "COMPLETED"
    crash_after(30, "ProductShipped")
    await_clean_audit(shop)
