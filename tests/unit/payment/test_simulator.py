"""The payment simulator through its ASGI application: outcomes, idempotency, and a record that lasts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.money import MAX_AMOUNT
from services.payment.simulator.app import create_app
from services.payment.simulator.rules import Result, decide_charge
from services.payment.simulator.settings import SimulatorSettings


@asynccontextmanager
async def simulator(db: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SimulatorSettings(db=db, **settings))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        yield client


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "run" / "simulator.db"


def body(method: str = "tok_ok", order: str = "o1", amount: int = 600) -> dict[str, Any]:
    return {"orderId": order, "amount": amount, "currency": "EUR", "paymentMethod": method}


async def record(client: httpx.AsyncClient, after: int = 0) -> list[dict[str, Any]]:
    answer = await client.get("/record", params={"after": after})
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_charge_is_on_record_before_it_is_answered(db: Path) -> None:
    async with simulator(db) as client:
        answer = await client.put("/charges/charge:o1:1", json=body())
        [row] = await record(client)
        looked_up = await client.get("/charges/charge:o1:1")
    assert answer.status_code == 201
    assert answer.json() == row == looked_up.json()
    assert row.pop("at") > 1_600_000_000_000
    assert row.pop("id").startswith("ch_")
    assert row == {
        "seq": 1,
        "key": "charge:o1:1",
        "orderId": "o1",
        "kind": "CHARGE",
        "amount": 600,
        "currency": "EUR",
        "paymentMethod": "tok_ok",
        "outcome": "SUCCEEDED",
        "reason": None,
    }


async def test_the_same_key_gets_the_same_answer_and_moves_nothing_more(db: Path) -> None:
    async with simulator(db) as client:
        first = await client.put("/charges/k", json=body())
        again = await client.put("/charges/k", json=body())
        assert len(await record(client)) == 1
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_one_key_asked_many_times_at_once_is_one_charge(db: Path) -> None:
    async with simulator(db) as client:
        answers = await asyncio.gather(*(client.put("/charges/k", json=body()) for _ in range(50)))
        assert len(await record(client)) == 1
    assert [a.status_code for a in answers].count(201) == 1


@pytest.mark.parametrize("other", [{"amount": 601}, {"currency": "GBP"}, {"orderId": "o2"}])
async def test_a_key_used_for_something_else_is_refused(db: Path, other: dict[str, Any]) -> None:
    async with simulator(db) as client:
        await client.put("/charges/k", json=body())
        answer = await client.put("/charges/k", json=body() | other)
        refund = await client.put("/refunds/k", json={"orderId": "o1", "amount": 600, "currency": "EUR"})
        assert len(await record(client)) == 1
    assert answer.status_code == refund.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_declined_card_is_recorded_as_declined(db: Path) -> None:
    async with simulator(db) as client:
        answer = await client.put("/charges/k", json=body("tok_declined"))
    assert (answer.status_code, answer.json()["outcome"], answer.json()["reason"]) == (
        201,
        "DECLINED",
        "card declined",
    )


async def test_flaky_fails_twice_on_record_then_works(db: Path) -> None:
    async with simulator(db) as client:
        answers = [await client.put(f"/charges/charge:o1:{n}", json=body("tok_flaky")) for n in (1, 2, 3)]
        spent = await client.put("/charges/charge:o1:1", json=body("tok_flaky"))
        looked_up = await client.get("/charges/charge:o1:2")
    assert [a.status_code for a in answers] == [503, 503, 201]
    assert [a.json()["outcome"] for a in answers] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert (spent.status_code, spent.json()["outcome"]) == (503, "FAILED")
    assert spent.headers["idempotent-replayed"] == "true"
    assert (looked_up.status_code, looked_up.json()["outcome"]) == (200, "FAILED")


async def test_unavailable_never_reaches_the_books(db: Path) -> None:
    async with simulator(db) as client:
        answers = [await client.put("/charges/k", json=body("tok_unavailable")) for _ in range(4)]
        looked_up = await client.get("/charges/k")
        assert await record(client) == []
    assert {a.status_code for a in answers} == {503}
    assert "outcome" not in answers[0].json()
    assert looked_up.status_code == 404


async def test_timeout_charges_but_the_first_answer_never_comes(db: Path) -> None:
    async with simulator(db) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.put("/charges/k", json=body("tok_timeout"))
        looked_up = await client.get("/charges/k")
        again = await client.put("/charges/k", json=body("tok_timeout"))
        assert len(await record(client)) == 1
    assert looked_up.json()["outcome"] == again.json()["outcome"] == "SUCCEEDED"


async def test_a_caller_that_never_hangs_up_is_let_go(db: Path) -> None:
    async with simulator(db, hold=0.05) as client:
        answer = await client.put("/charges/k", json=body("tok_timeout"))
    assert answer.status_code == 504


async def test_another_method_is_decided_by_the_order_id() -> None:
    results = [decide_charge("card", f"order-{n}", 0, 0.9).result for n in range(2000)]
    assert results == [decide_charge("iban", f"order-{n}", 3, 0.9).result for n in range(2000)]
    assert 0.87 < results.count(Result.SUCCEEDED) / 2000 < 0.93
    assert decide_charge("card", "o1", 0, 1.0).result is Result.SUCCEEDED
    assert decide_charge("card", "o1", 0, 0.0).result is Result.DECLINED


async def test_a_refund_is_made_once_by_its_key(db: Path) -> None:
    refund: dict[str, Any] = {"orderId": "o1", "amount": 600, "currency": "EUR"}
    async with simulator(db) as client:
        charge = (await client.put("/charges/charge:o1:1", json=body())).json()["id"]
        first = await client.put("/refunds/refund:o1", json=refund | {"chargeId": charge})
        again = await client.put("/refunds/refund:o1", json=refund | {"chargeId": charge})
        looked_up = await client.get("/refunds/refund:o1")
        of_nothing = await client.put("/refunds/refund:o2", json=refund | {"chargeId": "ch_none"})
        of_too_much = await client.put("/refunds/r3", json=refund | {"chargeId": charge, "amount": 601})
        as_charge = await client.get("/charges/refund:o1")
    assert (first.status_code, first.json()["kind"], first.json()["outcome"]) == (201, "REFUND", "SUCCEEDED")
    assert first.json() == again.json() == looked_up.json()
    assert of_nothing.status_code == of_too_much.status_code == 422
    assert as_charge.status_code == 404


async def test_a_restart_keeps_the_record(db: Path) -> None:
    async with simulator(db) as client:
        await client.put("/charges/charge:o1:1", json=body("tok_flaky"))
        before = await record(client)
    async with simulator(db) as client:
        assert await record(client) == before
        second = await client.put("/charges/charge:o1:2", json=body("tok_flaky"))
        third = await client.put("/charges/charge:o1:3", json=body("tok_flaky"))
    assert [second.json()["outcome"], third.json()["outcome"]] == ["FAILED", "SUCCEEDED"]


async def test_the_record_is_streamed_in_order_from_any_place(db: Path) -> None:
    async with simulator(db) as client:
        await asyncio.gather(*(client.put(f"/charges/k{n}", json=body(order=f"o{n}")) for n in range(1200)))
        rows = await record(client)
        assert await record(client, after=1150) == rows[1150:]
        bad = await client.get("/record", params={"after": "x"})
    assert [row["seq"] for row in rows] == list(range(1, 1201))
    assert bad.status_code == 422


async def test_a_double_charge_can_be_seen_by_anybody(db: Path) -> None:
    async with simulator(db) as client:
        await client.put("/charges/charge:o1:1", json=body())
        await client.put("/charges/charge:o2:1", json=body(order="o2"))
        assert (await client.get("/doubles")).json() == []
        await client.put("/charges/another", json=body())
        doubles = (await client.get("/doubles")).json()
    assert doubles == [{"orderId": "o1", "kind": "CHARGE", "times": 2, "amount": 1200}]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": "600"}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"orderId": ""}, "orderId"),
        ({"more": 1}, "more"),
    ],
)
async def test_a_wrong_body_is_refused_and_names_the_field(
    db: Path, wrong: dict[str, Any], field: str
) -> None:
    async with simulator(db) as client:
        answer = await client.put("/charges/k", json=body() | wrong)
        assert await record(client) == []
    assert answer.status_code == 422
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("after", ["9" * 5_000, "-1", "1.0", "٣", "", "1 "])
async def test_a_place_in_the_record_that_is_no_number_is_422(db: Path, after: str) -> None:
    async with simulator(db) as client:
        answer = await client.get("/record", params={"after": after})
        assert (answer.status_code, len(answer.content) < 500) == (422, True)
        assert (await client.get("/record", params={"after": "9" * 18})).status_code == 200


async def test_a_large_body_is_413(db: Path) -> None:
    async with simulator(db) as client:
        assert (await client.put("/charges/k", content=b" " * 70_000)).status_code == 413
        assert await record(client) == []


async def test_health_and_what_was_asked(db: Path) -> None:
    async with simulator(db, latency=1.0) as client:
        await client.put("/charges/k", json=body())
        await client.put("/charges/k", json=body())
        await client.get("/refunds/none")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/calls")).json() == {"charges": 2, "refunds": 0, "lookups": 1, "voids": 0}
        assert (await client.put("/charges/k", content=b"{")).status_code == 422


async def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_PORT", "9999")
    monkeypatch.setenv("SIMULATOR_DB", "elsewhere.db")
    monkeypatch.setenv("SIMULATOR_LATENCY", "20")
    monkeypatch.setenv("PAYMENT_SUCCESS_RATE", "0.5")
    settings = SimulatorSettings()
    assert (settings.port, settings.db, settings.latency, settings.success_rate) == (
        9999,
        Path("elsewhere.db"),
        20,
        0.5,
    )


async def test_m6_the_gateway_takes_what_an_order_may_be_worth_and_no_more(db: Path) -> None:
    async with simulator(db) as client:
        most = await client.put("/charges/charge:o1:1", json=body(amount=MAX_AMOUNT))
        more = await client.put("/charges/charge:o2:1", json=body(order="o2", amount=MAX_AMOUNT + 1))
    assert (most.status_code, more.status_code) == (201, 422)
