"""The HTTP gateway and the idempotent gateway against the simulator as it is deployed: a server on the loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from eventbus import Poison, Retryable
from schemas import OrderCreated
from services.payment.decider import Charge, Charged, Declined, Refund, Refunded
from services.payment.gateway import HttpGateway, Result
from services.payment.idempotent_gateway import IdempotentGateway
from services.payment.settings import PaymentSettings
from services.payment.simulator.app import create_app
from services.payment.simulator.settings import SimulatorSettings


@asynccontextmanager
async def serving(
    app: Starlette, patience: float = 20.0, authorization: str | None = None
) -> AsyncIterator[tuple[HttpGateway, str]]:
    # With its protocol named, asyncio turns Nagle's algorithm off: else each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    gateway = HttpGateway(url, timeout=patience, connections=300, authorization=authorization)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([listener]))
        try:
            yield gateway, url
        finally:
            await gateway.close()
            server.should_exit = True


def simulator(tmp_path: Path, **settings: Any) -> Starlette:
    return create_app(SimulatorSettings(db=tmp_path / "simulator.db", **settings))


def order(method: str = "tok_ok", order_id: str = "o1") -> OrderCreated:
    return OrderCreated(
        order_id=order_id, user_id="u1", currency="EUR", total_amount=600, payment_method=method
    )


async def test_a_charge_and_its_refund(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        idempotent = IdempotentGateway(gateway)
        charged = await idempotent.call(Charge(order()))
        assert isinstance(charged, Charged)
        refund = Refund("o1", 600, "EUR", charged.charge_id)
        refunded = await idempotent.call(refund)
        assert await idempotent.call(refund) == refunded
        assert await idempotent.call(Charge(order("tok_declined", "o2"))) == Declined(
            order("tok_declined", "o2"), "card declined"
        )
    assert isinstance(refunded, Refunded)
    assert charged.charge_id.startswith("ch_")
    assert refunded.refund_id.startswith("re_")


async def test_a_timeout_never_charges_twice(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path), patience=0.2) as (gateway, url):
        idempotent = IdempotentGateway(gateway)
        with pytest.raises(Retryable, match="no answer"):
            await idempotent.call(Charge(order("tok_timeout")))
        assert isinstance(await idempotent.call(Charge(order("tok_timeout"))), Charged)
        assert isinstance(await IdempotentGateway(gateway).call(Charge(order("tok_timeout"))), Charged)
        async with httpx.AsyncClient(base_url=url) as anybody:
            assert len((await anybody.get("/record")).text.splitlines()) == 1


async def test_flaky_works_at_the_third_try_and_unavailable_never(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        idempotent = IdempotentGateway(gateway)
        for _ in range(2):
            with pytest.raises(Retryable, match="the card network did not answer"):
                await idempotent.call(Charge(order("tok_flaky")))
        assert isinstance(await idempotent.call(Charge(order("tok_flaky"))), Charged)
        for _ in range(4):
            with pytest.raises(Retryable, match="503"):
                await idempotent.call(Charge(order("tok_unavailable", "o2")))
        assert await gateway.lookup("charge:o2:1") is None
        assert await gateway.lookup("charge:o2:2") is None


async def test_hundreds_of_charges_at_once_are_all_made(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        idempotent = IdempotentGateway(gateway)
        answers = await asyncio.gather(
            *(idempotent.call(Charge(order(order_id=f"o{n}"))) for n in range(300))
        )
        assert len({answer.charge_id for answer in answers if isinstance(answer, Charged)}) == 300


async def test_any_order_id_makes_a_key(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        for order_id in ("a/b", "../x", "sp ace?q=1#f", "ключ", "100%"):
            assert isinstance(
                await IdempotentGateway(gateway).call(Charge(order(order_id=order_id))), Charged
            )
            receipt = await gateway.lookup(f"charge:{order_id}:1")
            assert receipt is not None
            assert (receipt.result, receipt.replayed) == (Result.SUCCEEDED, True)


async def test_another_amount_under_a_used_key_is_poison(tmp_path: Path) -> None:
    async with serving(simulator(tmp_path)) as (gateway, _):
        await gateway.charge("k", order_id="o1", amount=1, currency="EUR", payment_method="tok_ok")
        with pytest.raises(Poison, match="422"):
            await gateway.charge("k", order_id="o1", amount=2, currency="EUR", payment_method="tok_ok")


async def test_a_gateway_that_is_not_there_may_be_asked_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gateway = HttpGateway(f"http://127.0.0.1:{port}", timeout=1, connections=1)
    with pytest.raises(Retryable, match="no answer"):
        await gateway.lookup("charge:o1:1")
    await gateway.close()


async def test_what_is_no_receipt() -> None:
    cases: dict[str, tuple[int, str, type[Exception]]] = {
        "failed": (500, "oops", Retryable),
        "throttled": (429, "slow down", Retryable),
        "not-json": (200, "<html>", Retryable),
        "not-an-object": (200, "[]", Retryable),
        "another-outcome": (200, '{"outcome": "PERHAPS"}', Retryable),
        "no-such-path": (404, "no such path", Poison),
        "not-allowed": (401, "who are you", Poison),
    }

    async def answer(request: Request) -> Response:
        status, text, _ = cases[request.path_params["case"]]
        return Response(text, status)

    app = Starlette(routes=[Route("/charges/{case}", answer, methods=["PUT"])])
    async with serving(app) as (gateway, _):
        for case, (status, _text, error) in cases.items():
            with pytest.raises(error, match=str(status)):
                await gateway.charge(case, order_id="o1", amount=1, currency="EUR", payment_method="tok_ok")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"USER": "shop", "PASSWORD": "s3cret"}, "Basic c2hvcDpzM2NyZXQ="),
        ({"TOKEN": "s3cret"}, "Bearer s3cret"),
        ({}, None),
    ],
)
async def test_m9_credentials_reach_the_gateway_and_no_error(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], expected: str | None
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(f"PAYMENT_GATEWAY_{name}", value)
    settings, seen = PaymentSettings(), []

    async def answer(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return Response(f"who are you, {seen[0]}", 401 if request.method == "GET" else 503)

    app = Starlette(routes=[Route("/charges/k", answer, methods=["GET", "DELETE"])])
    async with serving(app, authorization=settings.authorization) as (gateway, _):
        with pytest.raises(Poison) as refused:
            await gateway.lookup("k")
        with pytest.raises(Retryable) as failed:
            await gateway.void("k", order_id="o1", amount=1, currency="EUR")
    nobody = HttpGateway("http://127.0.0.1:1", timeout=1, connections=1, authorization=settings.authorization)
    with pytest.raises(Retryable) as away:
        await nobody.lookup("k")
    await nobody.close()
    assert seen == [expected, expected]
    for shown in (
        *map(repr, (refused.value, failed.value, away.value, settings)),
        str(settings),
        f"{settings.model_dump()}",
    ):
        assert "s3cret" not in shown and "c2hvcDpz" not in shown


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"URL": "http://shop:s3cret@127.0.0.1:1"}, "set PAYMENT_GATEWAY_USER and PAYMENT_GATEWAY_PASSWORD"),
        ({"URL": "http://s3cret@127.0.0.1:1/x"}, "must not hold user and password"),
        ({"URL": "http://127.0.0.1:1/x?key=s3cret"}, "must not have a query"),
        ({"URL": "shop:s3cret@127.0.0.1"}, "must be a URL such as"),
        ({"PASSWORD": "s3cret"}, "go together"),
        ({"USER": "shop", "PASSWORD": "s3cret", "TOKEN": "s3cret"}, "not both"),
        ({"USER": "sh:op", "PASSWORD": "s3cret"}, "must not have a colon"),
        ({"TOKEN": "s3cret\nforged"}, "is there a line break?"),
    ],
)
def test_m9_settings_that_would_show_a_secret_are_refused_at_start_without_showing_it(
    env: dict[str, str], sentence: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.payment"],
        env={**os.environ, **{f"PAYMENT_GATEWAY_{name}": value for name, value in env.items()}},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert sentence in run.stderr and "s3cret" not in run.stdout + run.stderr
