"""Payment's HTTP interface over a local state."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from eventbus import Bus, Entry
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from eventbus.testing import no_call
from services.payment.api import payment_routes
from services.payment.decider import Payment, Status, payment_reactor


class LocalState:
    """The two reads of a bus that payment's routes make."""

    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}
        self.heard = True

    def fresh(self) -> bool:
        return self.heard

    def read(self, decider: Any, key: str) -> Entry[Payment] | None:
        payment = self.payments.get(key)
        return Entry(key, 2, payment, 1_700_000_000_000) if payment else None


@pytest.fixture
def state() -> LocalState:
    return LocalState()


@pytest.fixture
def client(state: LocalState) -> httpx.AsyncClient:
    routes = payment_routes(payment_reactor(no_call))
    app = create_app(
        "payment", why_not_ready=lambda: "", max_body=1000, routes=http_routes(routes, cast(Bus, state))
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://payment")


async def test_a_payment_is_shown_with_its_status(client: httpx.AsyncClient, state: LocalState) -> None:
    state.payments["o1"] = Payment(Status.REFUNDED, 600, "EUR", "ch_1")
    answer = await client.get("/payments/o1")
    assert answer.status_code == 200
    assert answer.json() == {
        "orderId": "o1",
        "status": "REFUNDED",
        "amount": "6.00",
        "currency": "EUR",
        "chargeId": "ch_1",
        "version": 2,
        "updatedAt": "2023-11-14T22:13:20.000Z",
    }


@pytest.mark.parametrize(
    ("payment", "amount", "currency"),
    [
        (Payment(Status.PAID, 500, "RWF", "ch_1"), "500", "RWF"),
        (Payment(Status.PAID, 1_500, "KWD", "ch_1"), "1.500", "KWD"),
        (Payment(Status.PAID, 0, "EUR"), "0.00", "EUR"),
        (Payment(Status.VOIDED), None, None),
        (Payment(Status.FAILED, 5, "???"), None, None),
    ],
)
async def test_money_is_shown_as_the_order_api_shows_it(
    client: httpx.AsyncClient, state: LocalState, payment: Payment, amount: str | None, currency: str | None
) -> None:
    state.payments["o1"] = payment
    answer = (await client.get("/payments/o1")).json()
    assert (answer["amount"], answer["currency"]) == (amount, currency)


async def test_the_payment_of_an_unknown_order_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/payments/none")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "none" in answer.json()["detail"]


async def test_a_replica_without_kafka_does_not_guess(client: httpx.AsyncClient, state: LocalState) -> None:
    state.heard = False
    answer = await client.get("/payments/o1")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
