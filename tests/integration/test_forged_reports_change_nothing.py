"""Forged records claim to be reports of other services. Each service compares a report with what was asked for.
A forged one charges, refunds and ships nothing, and no message waits for it. The genuine report still applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from eventbus.retry.parked import ERRORS
from schemas import InventoryReserved, Item, PaymentRefunded, PaymentSucceeded, StockAnswered
from tests.integration.history import Shop
from tests.integration.orders import created
from tests.support.audits import assert_clean_audit
from tests.support.system import System
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("forged"))
    shop = Shop(system)
    shop.start()
    system.stock(shop["inventory"], 1000, "cup")
    yield shop
    system.close()


def letters(shop: Shop, service: str, order_id: str) -> list[str]:
    """The errors of a service's dead letters about an order."""
    found = [raw for raw in shop.system.topics.read(f"{service}.dlq") if raw.key == order_id.encode()]
    assert {raw.header(f"{ERRORS}exception") for raw in found} <= {"Mismatch"}
    return [raw.header(f"{ERRORS}message") or "" for raw in found]


def test_a_payment_over_jpy_1_confirms_no_order_of_gbp_5_and_the_genuine_one_does(shop: Shop) -> None:
    payment = shop["payment"]
    payment.stop()
    order_id = shop.order("CONFIRMED")
    forged = PaymentSucceeded(order_id=order_id, user_id="eve", amount=1, currency="JPY")
    shop.system.topics.send(forged)

    eventually(lambda: letters(shop, "order", order_id), "the forged report is a dead letter")
    assert letters(shop, "order", order_id) == [
        f"PaymentSucceeded of order {order_id!r} is over 1 JPY, not 5.00 GBP: find out who sent it"
    ]
    order = shop["order"].get(f"/orders/{order_id}").json()
    assert (order["payment"], "held" in order) == ("PENDING", False)
    payment.start().wait_ready()
    shop.wait_settled()
    assert shop["order"].get(f"/orders/{order_id}").json()["payment"] == "PAID"


def test_forged_reports_of_every_kind_change_nothing_and_the_audit_is_clean(shop: Shop) -> None:
    order_id = shop.order("CONFIRMED")
    shop.wait_settled()
    many = (Item(product_id="cup", quantity=999, unit_price=250),)
    topics = shop.system.topics
    topics.send(
        PaymentRefunded(order_id=order_id, amount=1, currency="GBP"),
        InventoryReserved(order_id=order_id, user_id="eve", items=many),
        StockAnswered(
            order_id=order_id, product_id="cup", outcome="RELEASED", quantity=999, available_qty=999
        ),
        replace(created(order_id), total_amount=1),
        replace(created(order_id), currency="BTC"),
    )

    expected = {"order": 2, "payment": 2, "inventory": 3, "notification": 2}
    for service, count in expected.items():
        eventually(
            lambda s=service, n=count: len(letters(shop, s, order_id)) == n,  # type: ignore[misc]
            f"{service} has {count} dead letters",
        )
    order = shop["order"].get(f"/orders/{order_id}").json()
    assert (order["status"], order["payment"], "held" in order) == ("CONFIRMED", "PAID", False)
    assert shop["order"].post(f"/orders/{order_id}/complete").status_code == 202
    shop.ends[order_id] = "COMPLETED"
    shop.wait_settled()
    assert_clean_audit(shop.system, shop.simulator)
