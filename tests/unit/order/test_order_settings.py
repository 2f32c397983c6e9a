"""Settings, ids and prices of the order service."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from services.order.__main__ import service
from services.order.ids import keyed_order_id, random_order_id
from services.order.prices import OnePrice
from services.order.settings import OrderSettings


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("900s", 900), ("900", 900), ("0.5", 0.5), ("2h", 7200), ("1d", 86400)],
)
def test_a_deadline_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("ORDER_DEADLINE", text)
    assert OrderSettings().deadline == timedelta(seconds=seconds)


def test_settings_have_sensible_defaults() -> None:
    settings = OrderSettings()
    assert (settings.deadline, settings.default_currency) == (timedelta(minutes=15), "GBP")
    assert (settings.limits.items, settings.limits.quantity) == (2_000, 100_000)


def test_held_watches_the_retry_topics_of_the_services_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert service().watches == ("payment.retry", "inventory.retry", "notification.retry")
    monkeypatch.setenv("ORDER_WATCHED", "payment, returns,")
    assert service().watches == ("payment.retry", "returns.retry")
    monkeypatch.setenv("ORDER_WATCHED", "")
    assert service().watches == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("ORDER_DEADLINE", "soon"), ("ORDER_DEADLINE", "0"), ("ORDER_DEFAULT_CURRENCY", "QQQ")],
)
def test_a_setting_that_makes_no_sense_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        OrderSettings()


def test_a_new_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [UUID(random_order_id()) for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}
    assert all(before <= i.int >> 80 <= after for i in ids)
    assert len(set(ids)) == 1000


def test_a_keyed_id_depends_on_scope_and_key_alone() -> None:
    assert keyed_order_id("a", "k") == keyed_order_id("a", "k")
    assert len({keyed_order_id(s, k) for s in ("a", "b") for k in ("k", "l")}) == 4
    assert UUID(keyed_order_id("a", "k")).version == 5


def test_the_one_price_is_one_unit_of_its_currency() -> None:
    assert OnePrice("GBP").unit_price("cup", "GBP") == 100
    assert OnePrice("JPY").unit_price("cup", "JPY") == 1
    assert OnePrice("GBP").unit_price("cup", "EUR") is None
