"""How orders end: failed, cancelled or completed, and what follows from that."""

from __future__ import annotations

import json

import pytest

from schemas import NotificationSent, PaymentFailed, PaymentRefunded, PaymentSucceeded
from tests.e2e.shop import Json, Shop, assert_problem, order_of
from tests.e2e.topic_client import TopicClient
from tests.e2e.waiting import until

# How orders fail


def test_a_declined_payment_fails_the_order_and_releases_its_stock(shop: Shop, topics: TopicClient) -> None:
    product = shop.stocked(10)
    order_id = shop.accepted(order_of(product, quantity=4, paymentMethod="tok_declined"))
    order = shop.settled(order_id)
    assert order["status"] == "FAILED"
    assert order["failure"] == {"stage": "PAYMENT", "reason": "card declined"}
    shop.await_fields(order_id, payment="FAILED", inventory="RELEASED")
    assert shop.stock(product) == (10, 0)
    assert shop.movements(order_id) == []
    (failed,) = topics.about(PaymentFailed, order_id)
    assert (failed.product_id, failed.quantity, failed.amount) == (product, 4, 1000)


def test_a_shortage_fails_the_order_and_refunds_it(shop: Shop) -> None:
    product = shop.stocked(3)
    order_id = shop.accepted(order_of(product, quantity=4))
    order = shop.settled(order_id)
    assert order["status"] == "FAILED"
    assert order["failure"] == {"stage": "INVENTORY", "reason": "Insufficient inventory"}
    shop.await_order(order_id, lambda o: o["payment"] in ("REFUNDED", "VOIDED"), "given its money back")
    assert shop.movements(order_id) in ([], [("CHARGE", 1000), ("REFUND", 1000)])
    shop.await_stock(product, 3, 0)


def test_one_product_short_releases_all_others(shop: Shop) -> None:
    plenty, short = shop.stocked(10), shop.stocked(1)
    order_id = shop.accepted(order_of(plenty, short, "product-nobody-sells", quantity=2))
    assert shop.settled(order_id)["failure"]["stage"] == "INVENTORY"
    shop.await_stock(plenty, 10, 0)
    shop.await_stock(short, 1, 0)


def test_a_flaky_gateway_is_asked_again(shop: Shop) -> None:
    order_id = shop.confirmed(order_of(shop.stocked(), paymentMethod="tok_flaky"))
    assert shop.movements(order_id, "FAILED") == [("CHARGE", 250)] * 2
    assert shop.movements(order_id) == [("CHARGE", 250)]


def test_a_lost_answer_never_charges_twice(shop: Shop) -> None:
    order_id = shop.confirmed(order_of(shop.stocked(), paymentMethod="tok_timeout"))
    assert shop.movements(order_id) == [("CHARGE", 250)]
    assert shop.simulator.get("/doubles").json() == []


def test_a_total_of_zero_is_paid_without_asking_the_gateway(shop: Shop, topics: TopicClient) -> None:
    order_id = shop.confirmed(order_of(shop.stocked(), price="0"))
    (paid,) = topics.about(PaymentSucceeded, order_id)
    assert (paid.amount, paid.charge_id) == (0, None)
    assert shop.change(order_id, "cancel").status_code == 202
    shop.await_fields(order_id, status="CANCELLED", payment="REFUNDED", inventory="RELEASED")
    (refunded,) = topics.about(PaymentRefunded, order_id)
    assert (refunded.amount, refunded.refund_id) == (0, None)
    assert shop.movements(order_id) == []


def test_a_gateway_that_never_works_leaves_a_dead_letter_and_an_order_to_cancel(
    shop: Shop, topics: TopicClient
) -> None:
    product, since = shop.stocked(5), topics.ends("payment.dlq")
    order_id = shop.accepted(order_of(product, paymentMethod="tok_unavailable"))
    letter = topics.await_record("payment.dlq", since, lambda raw: raw.key == order_id.encode())
    assert letter.header("ce_type") == "OrderCreated"
    assert letter.header("__eventbus.errors.topic") == "order.events"
    assert letter.header("__eventbus.errors.attempts") == "3"

    def waits(order: Json) -> bool:
        return order["inventory"] == "RESERVED" and (order.get("held") or {}).get("attempts") == 3

    order = shop.await_order(order_id, waits, "held")
    assert (order["status"], order["held"]["service"]) == ("PROCESSING", "payment")
    assert order["createdAt"] <= order["held"]["since"]
    assert shop.change(order_id, "cancel").status_code == 202
    shop.await_fields(order_id, status="CANCELLED", payment="VOIDED", inventory="RELEASED")
    assert shop.stock(product) == (5, 0)


# Cancelling and completing


def test_a_confirmed_order_is_cancelled_refunded_and_released(shop: Shop) -> None:
    product = shop.stocked(10)
    order_id = shop.confirmed(order_of(product, quantity=4))
    answer = shop.change(order_id, "cancel", {"reason": "changed my mind"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "CANCELLED"
    order = shop.await_fields(order_id, payment="REFUNDED", inventory="RELEASED")
    assert order["status"] == "CANCELLED"
    assert shop.stock(product) == (10, 0)
    assert shop.movements(order_id) == [("CHARGE", 1000), ("REFUND", 1000)]
    cancelled = next(e for e in shop.events(order_id) if e["type"] == "OrderCancelled")
    assert cancelled["data"]["reason"] == "changed my mind"


def test_an_order_is_cancelled_before_it_is_confirmed(shop: Shop) -> None:
    product = shop.stocked(10)
    order_id = shop.accepted(order_of(product, quantity=4, paymentMethod="tok_timeout"))
    answer = shop.change(order_id, "cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "CANCELLED"
    shop.await_order(order_id, lambda o: o["payment"] in ("REFUNDED", "VOIDED"), "given its money back")
    order = shop.await_fields(order_id, inventory="RELEASED")
    assert order["status"] == "CANCELLED"
    assert shop.stock(product) == (10, 0)
    # A charge under way when the cancellation came is found out about, and paid back, a little later.
    balanced: tuple[list[tuple[str, int]], ...] = ([], [("CHARGE", 1000), ("REFUND", 1000)])
    until(lambda: shop.movements(order_id) in balanced, 30, "what was charged is paid back")
    assert "OrderConfirmed" not in shop.kinds(order_id)


def test_cancelling_again_is_harmless(shop: Shop) -> None:
    order_id = shop.confirmed(order_of(shop.stocked()))
    assert [shop.change(order_id, "cancel").status_code for _ in range(3)] == [202] * 3
    shop.await_fields(order_id, status="CANCELLED", payment="REFUNDED", inventory="RELEASED")
    assert shop.kinds(order_id).count("OrderCancelled") == 1
    assert shop.movements(order_id) == [("CHARGE", 250), ("REFUND", 250)]


def test_a_completed_order_ships_its_goods_and_repeating_is_harmless(shop: Shop) -> None:
    product = shop.stocked(10)
    order_id = shop.confirmed(order_of(product, quantity=4))
    answers = [shop.change(order_id, "complete") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert answers[0].json()["status"] == "COMPLETED"
    shop.await_fields(order_id, status="COMPLETED", payment="PAID", inventory="SHIPPED")
    assert shop.stock(product) == (6, 0)
    assert shop.kinds(order_id).count("OrderCompleted") == 1
    assert shop.movements(order_id) == [("CHARGE", 1000)]


def test_a_completed_order_is_not_cancelled(shop: Shop) -> None:
    order_id = shop.confirmed(order_of(shop.stocked()))
    assert shop.change(order_id, "complete").status_code == 202
    problem = assert_problem(shop.change(order_id, "cancel"), 409)
    assert "handed over" in problem["detail"]
    assert shop.get(order_id)["status"] == "COMPLETED"
    assert "CancelRefused" in shop.kinds(order_id)


def test_a_failed_order_is_neither_cancelled_nor_completed(shop: Shop) -> None:
    order_id = shop.accepted(order_of(shop.stocked(), paymentMethod="tok_declined"))
    assert shop.settled(order_id)["status"] == "FAILED"
    assert "failed" in assert_problem(shop.change(order_id, "cancel"), 409)["detail"]
    assert "failed" in assert_problem(shop.change(order_id, "complete"), 409)["detail"]


def test_an_order_that_is_open_or_cancelled_is_not_completed(shop: Shop) -> None:
    order_id = shop.accepted(order_of(shop.stocked(), paymentMethod="tok_timeout"))
    assert "not confirmed" in assert_problem(shop.change(order_id, "complete"), 409)["detail"]
    assert shop.change(order_id, "cancel").status_code == 202
    assert "cancelled" in assert_problem(shop.change(order_id, "complete"), 409)["detail"]


# Notifications and descriptions


def test_the_customer_is_notified_at_each_step(shop: Shop, topics: TopicClient) -> None:
    order_id = shop.confirmed(order_of(shop.stocked(), contact={"email": "eve@example.org"}))
    assert shop.change(order_id, "complete").status_code == 202
    kinds = ["OrderCreated", "OrderConfirmed", "OrderCompleted"]

    def notified() -> list[NotificationSent] | None:
        sent = topics.about(NotificationSent, order_id)
        return sent if len(sent) >= len(kinds) else None

    sent = until(notified, 20, "three notifications")
    assert [notice.kind for notice in sent] == kinds
    assert {notice.recipient for notice in sent} == {"eve@example.org"}
    assert len({notice.message_id for notice in sent}) == 3


@pytest.mark.parametrize("service", ["order", "payment", "inventory", "notification"])
def test_every_service_describes_itself(shop: Shop, service: str) -> None:
    client = getattr(shop, service)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert "# HELP" in client.get("/metrics").text
    assert client.get("/docs").status_code == 200
    described = json.loads(client.get("/openapi.json").text)
    assert described["openapi"].startswith("3.1")
