"""Payment fails, inventory fails, notification is down, one service is slow: the others go on and catch up."""

from __future__ import annotations

import time
from collections.abc import Iterable

from schemas import InventoryReserved, NotificationSent, PaymentSucceeded
from tests.e2e.running import LocalStack
from tests.e2e.shop import SETTLE, Shop, order_of
from tests.e2e.topic_client import TopicClient
from tests.e2e.waiting import until

ORDERS = 10


def placed(shop: Shop, product: str, count: int = ORDERS) -> list[str]:
    """The ids of so many orders, all accepted."""
    return [shop.accepted(order_of(product)) for _ in range(count)]


def await_all(shop: Shop, orders: Iterable[str], **fields: str) -> None:
    """Return once these fields of all orders have these values."""
    for order_id in orders:
        shop.await_fields(order_id, **fields)


def await_notices(topics: TopicClient, orders: list[str], kind: str) -> None:
    """Return once every customer was notified of this event. Fails if one was notified twice."""

    def notified() -> list[str] | None:
        raws = topics.read("notification.events")
        notices = [topics.codec.decode_value(raw.value) for raw in raws]
        sent = [n.order_id for n in notices if isinstance(n, NotificationSent) and n.kind == kind]
        return sent if set(orders) <= set(sent) else None

    sent = until(notified, SETTLE, f"all customers were notified of {kind}")
    assert sorted(order_id for order_id in sent if order_id in orders) == sorted(orders)


# Payment fails


def test_a_payment_that_fails_fails_its_order_and_no_other(
    local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    good = placed(local_shop, product)
    bad = [local_shop.accepted(order_of(product, paymentMethod="tok_declined")) for _ in range(ORDERS)]
    await_all(local_shop, bad, status="FAILED", payment="FAILED", inventory="RELEASED")
    await_all(local_shop, good, status="CONFIRMED", payment="PAID", inventory="RESERVED")
    assert local_shop.stock(product) == (100 - ORDERS, ORDERS)
    await_notices(local_topics, bad, "PaymentFailed")


def test_without_payment_orders_are_taken_and_reserved_and_paid_later(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    with stack.without("payment"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="PROCESSING", payment="PENDING", inventory="RESERVED")
        assert local_shop.adjust(product, 5).status_code == 202
        await_notices(local_topics, orders, "OrderCreated")
    await_all(local_shop, orders, status="CONFIRMED", payment="PAID")
    assert [local_shop.movements(order_id) for order_id in orders] == [[("CHARGE", 250)]] * ORDERS


def test_without_the_gateway_orders_wait_and_are_paid_when_it_is_back(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product, since = local_shop.stocked(100), local_topics.ends("payment.dlq")
    with stack.without("simulator"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="PROCESSING", payment="PENDING", inventory="RESERVED")
    await_all(local_shop, orders, status="CONFIRMED", payment="PAID")
    assert [local_shop.movements(order_id) for order_id in orders] == [[("CHARGE", 250)]] * ORDERS
    assert local_topics.read("payment.dlq", since) == []


# Inventory fails


def test_a_reservation_that_fails_fails_its_order_and_no_other(
    local_shop: Shop, local_topics: TopicClient
) -> None:
    plenty, none = local_shop.stocked(100), local_shop.stocked(1)
    good = placed(local_shop, plenty)
    bad = [local_shop.accepted(order_of(plenty, none, quantity=2)) for _ in range(ORDERS)]
    await_all(local_shop, bad, status="FAILED", payment="REFUNDED")
    await_all(local_shop, good, status="CONFIRMED", payment="PAID", inventory="RESERVED")
    local_shop.await_stock(plenty, 100 - ORDERS, ORDERS)
    local_shop.await_stock(none, 1, 0)
    await_notices(local_topics, bad, "InventoryFailed")


def test_without_inventory_orders_are_taken_and_paid_and_reserved_later(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    with stack.without("inventory"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="PROCESSING", payment="PAID", inventory="PENDING")
        await_notices(local_topics, orders, "OrderCreated")
        assert local_shop.change(orders[0], "cancel").status_code == 202
        local_shop.await_fields(orders[0], status="CANCELLED", payment="REFUNDED", inventory="PENDING")
    await_all(local_shop, orders[1:], status="CONFIRMED", inventory="RESERVED")
    local_shop.await_fields(orders[0], status="CANCELLED", inventory="RELEASED")
    assert local_shop.stock(product) == (100 - ORDERS + 1, ORDERS - 1)


# Notification is down


def test_without_notification_orders_are_confirmed_and_customers_notified_later_once(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    with stack.without("notification"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="CONFIRMED")
        ends = local_topics.ends("notification.events")
    for kind in ("OrderCreated", "OrderConfirmed"):
        await_notices(local_topics, orders, kind)
    assert local_topics.ends("notification.events") != ends
    lines = (stack.run_dir / "notifications.log").read_text().splitlines()
    assert [sum(order_id in line for line in lines) for order_id in orders] == [2] * ORDERS


# Order is down


def test_without_order_payment_and_inventory_finish_what_they_have(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    with stack.without("order"):
        assert local_shop.adjust(product, 1).status_code == 202
    with stack.without("payment"), stack.without("inventory"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="CREATED")
        stack.stop("order")
    try:
        for kind in (PaymentSucceeded, InventoryReserved):
            for order_id in orders:
                until(lambda: local_topics.about(kind, order_id), SETTLE, kind.name)  # noqa: B023
        assert local_shop.stock(product) == (101 - ORDERS, ORDERS)
    finally:
        stack.start("order")
    await_all(local_shop, orders, status="CONFIRMED")


# One service is slow


def test_while_inventory_is_frozen_the_others_go_on(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(100)
    with stack.frozen("inventory"):
        # longer than a session: the group gives its tasks up, and it must find its way back
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="PROCESSING", payment="PAID", inventory="PENDING")
        await_notices(local_topics, orders, "OrderCreated")
        until(lambda: local_topics.members("inventory") == 0, 20, "the group has no member left")
        orders += placed(local_shop, product)
        await_all(local_shop, orders, payment="PAID")
    await_all(local_shop, orders, status="CONFIRMED", inventory="RESERVED")
    assert local_shop.stock(product) == (100 - 2 * ORDERS, 2 * ORDERS)


def test_while_payment_is_throttled_the_others_keep_their_pace(
    stack: LocalStack, local_shop: Shop, local_topics: TopicClient
) -> None:
    product = local_shop.stocked(1000)
    with stack.throttled("payment"):
        begun = time.monotonic()
        orders = placed(local_shop, product, 3 * ORDERS)
        for order_id in orders:
            local_shop.await_fields(order_id, inventory="RESERVED")
        assert local_shop.adjust(product, 1).status_code == 202
        await_notices(local_topics, orders, "OrderCreated")
        assert time.monotonic() - begun < SETTLE
        await_all(local_shop, orders, status="CONFIRMED")
    assert {len(local_shop.movements(order_id)) for order_id in orders} == {1}


def test_while_the_gateway_is_frozen_nothing_else_is(stack: LocalStack, local_shop: Shop) -> None:
    product = local_shop.stocked(100)
    with stack.frozen("simulator"):
        orders = placed(local_shop, product)
        await_all(local_shop, orders, status="PROCESSING", payment="PENDING", inventory="RESERVED")
        local_shop.confirmed(order_of(product, price="0"))
    await_all(local_shop, orders, status="CONFIRMED")
    assert [local_shop.movements(order_id) for order_id in orders] == [[("CHARGE", 250)]] * ORDERS
    assert local_shop.simulator.get("/doubles").json() == []
