"""Version 1 of OrderCreated names no price. Everybody reads it, beside version 2, and nobody takes it for free."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from eventbus import Entry, Message, Mismatch
from eventbus.codec import Codec
from eventbus.testing import Scenario, given, no_call
from examples.fraud.decider import screening_decider
from examples.fraud.messages import FraudSuspected, OrderCleared
from schemas import (
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    Item,
    OrderCancelled,
    OrderCreated,
    OrderFailed,
    OrderPaid,
    OrderPaymentFailed,
    OrderRefunded,
    OrderReleased,
    OrderReserved,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    ReservationStarted,
    ReserveStock,
)
from schemas.money import NO_CURRENCY
from schemas.orders import inconsistency, is_priced
from services.inventory.reservation import reservation_decider
from services.notification.decider import notification_reactor
from services.notification.request import Notify
from services.notification.text import sentence
from services.order.decider import order_decider
from services.order.views import order_view
from services.payment.decider import Charge, payment_reactor
from services.payment.views import payment_view
from tests.support.version_1 import old_value

CODEC = Codec("schemas")


def cups(quantity: int, unit_price: int) -> Item:
    return Item(product_id="cup", quantity=quantity, unit_price=unit_price)


PAYMENT, ORDER = payment_reactor(no_call), order_decider(timedelta(minutes=15))
FIELDS: dict[str, Any] = {"orderId": "o1", "userId": "u1", "productId": "cup", "quantity": 3, "timestamp": 1}
FREE = OrderCreated(order_id="o1", user_id="u1", items=(cups(3, 0),), currency="GBP")


def read(name: str, **more: Any) -> Any:
    """What today's code reads of an event of version 1."""
    return CODEC.decode_value(old_value(name, **FIELDS, **more))


def refused(scenario: Scenario[Any], message: Message) -> None:
    with pytest.raises(Mismatch):
        scenario.when(message)


OLD: OrderCreated = read("OrderCreated")


def test_it_is_read_as_written_and_has_no_price() -> None:
    assert (OLD.version, OLD.items, OLD.product_id, OLD.quantity) == ("1.0", (cups(3, 0),), "cup", 3)
    assert not is_priced(OLD)
    assert inconsistency(OLD) is None


def test_an_order_of_nothing_in_version_2_has_a_price_and_is_free() -> None:
    assert is_priced(FREE)
    given(PAYMENT).when(FREE).then(PaymentSucceeded(order_id="o1", user_id="u1", amount=0, currency="GBP"))


@pytest.mark.parametrize("forged", [{"total_amount": 1}, {"items": (cups(3, 1),)}])
def test_prices_without_a_currency_are_a_forgery(forged: dict[str, Any]) -> None:
    order = replace(OLD, **forged)
    assert inconsistency(order) == "OrderCreated of order 'o1' has prices, but no currency"
    for decider in (PAYMENT, reservation_decider(), notification_reactor(no_call)):
        refused(given(decider), order)


def test_payment_fails_it_with_a_reason_and_asks_no_gateway() -> None:
    given(PAYMENT).when(OLD).then(
        PaymentFailed(
            order_id="o1",
            user_id="u1",
            product_id="cup",
            quantity=3,
            reason="the order names no price",
            items=OLD.items,
            currency=NO_CURRENCY,
        )
    )


def test_payment_tells_it_from_a_priced_one_in_the_same_topic() -> None:
    priced = replace(FREE, total_amount=6, items=(cups(3, 2),))
    assert [type(given(PAYMENT).when(order).outputs[0]) for order in (priced, OLD, FREE, OLD)] == [
        Charge,
        PaymentFailed,
        PaymentSucceeded,
        PaymentFailed,
    ]


def test_inventory_reserves_it_and_releases_it_when_it_has_failed() -> None:
    reserving = given(reservation_decider()).when(OLD)
    assert [type(event) for event in reserving.outputs] == [ReservationStarted, ReserveStock]


def test_a_failed_payment_of_it_fails_the_order() -> None:
    (failed,) = given(PAYMENT).when(OLD).outputs
    assert isinstance(failed, PaymentFailed)
    reason = "the order names no price"
    given(ORDER, OLD).when(failed).then(
        OrderPaymentFailed(order_id="o1", reason=reason),
        OrderFailed(order_id="o1", user_id="u1", stage="PAYMENT", reason=reason),
    )


@pytest.mark.parametrize("currency", ["GBP", NO_CURRENCY])
def test_the_order_cannot_be_paid(currency: str) -> None:
    refused(given(ORDER, OLD), PaymentSucceeded(order_id="o1", user_id="u1", amount=1, currency=currency))


def test_one_that_older_code_of_payment_took_for_free_fails_at_once() -> None:
    paid = PaymentSucceeded(order_id="o1", user_id="u1", amount=0, currency="GBP")
    given(ORDER, OLD).when(paid).then(
        OrderPaid(order_id="o1", amount=0, currency="GBP"),
        OrderFailed(
            order_id="o1", user_id="u1", stage="PAYMENT", reason="it was taken as paid, but it names no price"
        ),
    )


def test_one_that_was_taken_as_paid_once_is_not_confirmed_and_can_be_refunded() -> None:
    paid, cancelled = (
        OrderPaid(order_id="o1", amount=0, currency="GBP"),
        OrderCancelled(order_id="o1", user_id="u1"),
    )
    reserved = given(ORDER, OLD, paid).when(InventoryReserved(order_id="o1", user_id="u1", items=OLD.items))
    reserved.then(
        OrderReserved(order_id="o1"),
        OrderFailed(
            order_id="o1",
            user_id="u1",
            stage="PAYMENT",
            reason="it was taken as paid, but it names no price",
        ),
    )
    forged = PaymentRefunded(order_id="o1", amount=1, currency="GBP")
    refused(given(ORDER, OLD, paid, cancelled), forged)
    given(ORDER, OLD, paid, cancelled).when(PaymentRefunded(order_id="o1", amount=0, currency="GBP")).then(
        OrderRefunded(order_id="o1", amount=0, currency="GBP")
    )


@pytest.mark.parametrize("name", ["PaymentFailed", "InventoryFailed"])
def test_order_takes_reports_of_version_1_for_orders_of_both_versions(name: str) -> None:
    more = {"availableQty": 1} if name == "InventoryFailed" else {}
    report = read(name, reason="Insufficient inventory", **more)
    for order in (OLD, replace(FREE, total_amount=6, items=(cups(3, 2),))):
        _, failed = given(ORDER, order).when(report).outputs
        assert isinstance(failed, OrderFailed) and failed.reason == "Insufficient inventory"
        refused(given(ORDER, replace(order, items=(cups(4, order.items[0].unit_price),))), report)


def test_a_client_sees_null_where_no_price_is_known() -> None:
    state = ORDER.evolve(ORDER.initial, OLD)
    view = order_view(Entry("o1", 1, state, 1))
    assert (view["currency"], view["totalAmount"]) == (None, None)
    assert view["items"] == [{"productId": "cup", "quantity": 3, "unitPrice": None}]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_its_failed_payment_shows_null_in_every_version(version: str) -> None:
    (failed,) = given(PAYMENT).when(OLD).outputs
    event = read("PaymentFailed", reason="the order names no price") if version == "1.0" else failed
    view = payment_view(Entry("o1", 1, PAYMENT.evolve(PAYMENT.initial, event), 1))
    assert (view.status, view.amount, view.currency) == ("FAILED", None, None)


def test_the_customer_reads_no_amount() -> None:
    (notify,) = given(notification_reactor(no_call)).when(OLD).outputs
    assert isinstance(notify, Notify)
    assert sentence(OLD) == "Thank you. We received your order o1."
    assert sentence(read("PaymentFailed", reason="card declined")) == (
        "The payment for your order o1 failed: card declined."
    )
    short: InventoryFailed = read("InventoryFailed", reason="Insufficient inventory", availableQty=1)
    assert sentence(short) == "We cannot deliver your order o1. You ordered 3 of product cup; available: 1."


def test_fraud_screens_it_by_its_quantity() -> None:
    many = CODEC.decode_value(old_value("OrderCreated", **(FIELDS | {"quantity": 101})))
    assert [type(event) for event in given(screening_decider()).when(many).outputs] == [FraudSuspected]
    assert [type(event) for event in given(screening_decider()).when(OLD).outputs] == [OrderCleared]


def test_what_inventory_releases_of_it_is_recorded() -> None:
    failed = OrderFailed(order_id="o1", user_id="u1", stage="PAYMENT", reason="the order names no price")
    released = given(ORDER, OLD, failed).when(InventoryReleased(order_id="o1"))
    assert released.outputs == [OrderReleased(order_id="o1")]
