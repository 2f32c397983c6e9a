"""Payment's HTTP interface over a local state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import httpx
import pytest

from eventbus import Bus, Entry, Place, Unavailable
from eventbus.http.app import create_app
from eventbus.service.runtime import http_routes
from eventbus.testing import no_call
from services.payment.api import payment_routes
from services.payment.decider import PAYMENTS, Payment, Status, payment_reactor


class LocalState:
    """The reads of a bus that payment's routes make. The list is chosen and sorted in memory."""

    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}
        self.heard = True
        self.on_all_folded: Callable[[], object] = lambda: None

    def fresh(self) -> bool:
        return self.heard

    def read(self, decider: Any, key: str) -> Entry[Payment] | None:
        payment = self.payments.get(key)
        return Entry(key, 2, payment, 1_700_000_000_000) if payment else None

    async def all_folded(self, log: str) -> None:
        self.on_all_folded()

    def page(
        self,
        decider: Any,
        chosen: Mapping[str, str],
        *,
        behind: Place | None = None,
        since: int | None = None,
        limit: int,
    ) -> Iterator[tuple[Place, Entry[Payment]]]:
        rows = {key: PAYMENTS.row(payment) for key, payment in self.payments.items()}
        places = sorted(
            (
                Place(row.at, key)
                for key, row in rows.items()
                if row and dict(zip(PAYMENTS.columns, row.values, strict=True)).items() >= chosen.items()
            ),
            reverse=True,
        )
        found = [place for place in places if behind is None or place < behind][:limit]
        for place in found:
            entry = self.read(decider, place.key)
            assert entry is not None
            yield place, entry


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
    state.payments["o1"] = Payment(
        Status.REFUNDED, 600, "EUR", "ch_1", user_id="anne", created_at=1_699_999_999_000
    )
    answer = await client.get("/payments/o1")
    assert answer.status_code == 200
    assert answer.json() == {
        "orderId": "o1",
        "userId": "anne",
        "status": "REFUNDED",
        "amount": "6.00",
        "currency": "EUR",
        "chargeId": "ch_1",
        "version": 2,
        "createdAt": "2023-11-14T22:13:19.000Z",
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


def payment_of(user: str, at: int, status: Status = Status.PAID) -> Payment:
    return Payment(status, 600, "EUR", f"ch_{at}", user_id=user, created_at=at)


async def pages(client: httpx.AsyncClient, **query: Any) -> list[list[str]]:
    """The order ids on each page, from the first to the last."""
    found, cursor = [], None
    while True:
        answer = await client.get("/payments", params=query | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found.append([payment["orderId"] for payment in answer.json()["payments"]])
        if (cursor := answer.json()["next"]) is None:
            return found


async def test_payments_are_listed_newest_first_by_order_customer_and_status(
    client: httpx.AsyncClient, state: LocalState
) -> None:
    state.payments = {
        "o1": payment_of("anne", 1),
        "o2": payment_of("bob", 2),
        "o3": payment_of("anne", 3, Status.REFUNDED),
        "o4": Payment(Status.VOIDED, created_at=4),
    }
    assert await pages(client) == [["o4", "o3", "o2", "o1"]]
    assert await pages(client, limit=3) == [["o4", "o3", "o2"], ["o1"]]
    assert await pages(client, userId="anne", limit=1) == [["o3"], ["o1"]]
    assert await pages(client, userId="anne", status="PAID") == [["o1"]]
    assert await pages(client, orderId="o3") == [["o3"]]
    assert await pages(client, orderId="o3", status="PAID") == [[]]
    assert await pages(client, orderId="o3", userId="bob") == [[]]
    assert await pages(client, orderId="none") == [[]]
    one = (await client.get("/payments", params={"orderId": "o2"})).json()["payments"][0]
    assert one == (await client.get("/payments/o2")).json()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=LOST", "status"),
        ("cursor=x", "cursor"),
        ("orderid=o1", "orderid"),
        ("userId=a&userId=b", "userId"),
    ],
)
async def test_a_page_of_payments_that_is_none_is_refused(
    client: httpx.AsyncClient, query: str, field: str
) -> None:
    answer = await client.get(f"/payments?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_replica_that_is_behind_lists_no_payments(
    client: httpx.AsyncClient, state: LocalState
) -> None:
    def behind() -> None:
        raise Unavailable("this replica has not caught up")

    state.on_all_folded = behind
    assert (await client.get("/payments")).status_code == 503
    state.heard = False
    assert (await client.get("/payments")).status_code == 503
