"""The simulator over HTTP.

    PUT /charges/{key}   {orderId, amount, currency, paymentMethod}        GET /charges/{key}
    DELETE /charges/{key} {orderId, amount, currency}    takes the key out of use, unless it was used already
    PUT /refunds/{key}   {orderId, amount, currency, chargeId?}            GET /refunds/{key}
    GET /record?after=seq    every attempt, as NDJSON, oldest first
    GET /doubles             orders charged or refunded more than once: empty, or something is broken
    GET /calls               how often each call came since this process started

A key stands for one attempt for good. Asked again it gives the same answer, marked with the header
``Idempotent-Replayed: true``; for another amount, currency or order it gives 422. A definite failure is 503
*with* its record as the body; a 503 without one says nothing. Errors are problem+json (RFC 9457).
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec.json import Encoder
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from schemas.money import MAX_AMOUNT
from services.payment.simulator.record import Attempt, Record, Refused, Row
from services.payment.simulator.rules import Result, Token
from services.payment.simulator.settings import SimulatorSettings

SEQUENCE = re.compile("[0-9]{1,18}")
MAX_BODY = 65_536
REPLAYED = {"Idempotent-Replayed": "true"}
encode = Encoder().encode

Id = Annotated[str, Field(min_length=1, max_length=1000)]
Amount = Annotated[int, Field(gt=0, le=MAX_AMOUNT)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class ChargeBody(BaseModel):
    """``amount`` in minor units of ``currency`` (ISO 4217)."""

    model_config = ConfigDict(strict=True, extra="forbid")

    orderId: Id
    amount: Amount
    currency: Currency
    paymentMethod: Id


class VoidBody(BaseModel):
    """The charge that must not happen any more."""

    model_config = ConfigDict(strict=True, extra="forbid")

    orderId: Id
    amount: Amount
    currency: Currency


class RefundBody(BaseModel):
    """``chargeId``, if given, must be a charge of that order, of at least that amount."""

    model_config = ConfigDict(strict=True, extra="forbid")

    orderId: Id
    amount: Amount
    currency: Currency
    chargeId: str | None = None


class Simulator:
    """The handlers, around one record."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._calls: Counter[str] = Counter()
        self._record = Record(settings.db, settings.success_rate)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        await self._record.start()
        yield
        await self._record.close()

    async def charge(self, request: Request) -> Response:
        await self._arrive("charges")
        key, body = request.path_params["key"], ChargeBody.model_validate_json(await body_of(request))
        if body.paymentMethod == Token.UNAVAILABLE:
            return problem(503, "The card network is unavailable", "nothing was recorded")
        row, replayed = await self._record.enter(
            Attempt(key, "CHARGE", body.orderId, body.amount, body.currency, body.paymentMethod)
        )
        if body.paymentMethod == Token.TIMEOUT and not replayed:
            return await keep_waiting(request, self._settings.hold)
        return receipt(row, replayed)

    async def void(self, request: Request) -> Response:
        await self._arrive("voids")
        key, body = request.path_params["key"], VoidBody.model_validate_json(await body_of(request))
        row, replayed = await self._record.enter(
            Attempt(key, "CHARGE", body.orderId, body.amount, body.currency, void=True)
        )
        return receipt(row, replayed)

    async def refund(self, request: Request) -> Response:
        await self._arrive("refunds")
        key, body = request.path_params["key"], RefundBody.model_validate_json(await body_of(request))
        row, replayed = await self._record.enter(
            Attempt(key, "REFUND", body.orderId, body.amount, body.currency, charge_id=body.chargeId)
        )
        return receipt(row, replayed)

    async def lookup(self, request: Request) -> Response:
        await self._arrive("lookups")
        key = request.path_params["key"]
        kind = "CHARGE" if request.url.path.startswith("/charges/") else "REFUND"
        row = await self._record.find(key)
        if row is None or row.kind != kind:
            return problem(404, "Unknown key", f"no {kind.lower()} {key} is on record")
        return json_response(document(row), headers=REPLAYED)

    async def record(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not SEQUENCE.fullmatch(after):
            return problem(422, "Invalid query", f"after: {after[:50]!r} is not a sequence number")

        async def lines() -> AsyncIterator[bytes]:
            async for rows in self._record.rows(int(after)):
                yield b"".join(encode(document(row)) + b"\n" for row in rows)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def doubles(self, request: Request) -> Response:
        names = ("orderId", "kind", "times", "amount")
        return json_response([dict(zip(names, row, strict=True)) for row in await self._record.doubles()])

    async def calls(self, request: Request) -> Response:
        return json_response({name: self._calls[name] for name in ("charges", "refunds", "lookups", "voids")})

    async def healthz(self, request: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        await self._record.find("")
        return json_response({"status": "ready"})

    async def _arrive(self, call: str) -> None:
        self._calls[call] += 1
        if self._settings.latency:
            await asyncio.sleep(self._settings.latency / 1000)


def create_app(settings: SimulatorSettings) -> Starlette:
    """The ASGI application; its record is opened at startup and closed at shutdown."""
    simulator = Simulator(settings)
    return Starlette(
        routes=[
            Route("/charges/{key:path}", simulator.charge, methods=["PUT"]),
            Route("/charges/{key:path}", simulator.lookup, methods=["GET"]),
            Route("/charges/{key:path}", simulator.void, methods=["DELETE"]),
            Route("/refunds/{key:path}", simulator.refund, methods=["PUT"]),
            Route("/refunds/{key:path}", simulator.lookup, methods=["GET"]),
            Route("/record", simulator.record),
            Route("/doubles", simulator.doubles),
            Route("/calls", simulator.calls),
            Route("/healthz", simulator.healthz),
            Route("/readyz", simulator.readyz),
        ],
        exception_handlers={
            Refused: refused,
            TooLarge: too_large,
            ValidationError: invalid,
            ClientDisconnect: hung_up,
        },
        lifespan=simulator.lifespan,
    )


class TooLarge(Exception):
    """The body has more than ``MAX_BODY`` bytes."""


async def body_of(request: Request) -> bytes:
    """The body. Raises TooLarge as soon as more has come than it may have."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge
    return body


def json_response(
    content: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    return Response(encode(content), status, headers, media_type)


def document(row: Row) -> dict[str, str | int | None]:
    """A row as the outside sees it; ``at`` in ms since epoch (UTC)."""
    return {
        "seq": row.seq,
        "key": row.key,
        "orderId": row.order_id,
        "kind": row.kind,
        "amount": row.amount,
        "currency": row.currency,
        "paymentMethod": row.method or None,
        "outcome": row.outcome,
        "id": row.id,
        "reason": row.reason,
        "at": row.at,
    }


def receipt(row: Row, replayed: bool) -> Response:
    status = 503 if row.outcome == Result.FAILED else 200 if replayed else 201
    return json_response(document(row), status, headers=REPLAYED if replayed else None)


async def keep_waiting(request: Request, seconds: float) -> Response:
    """Never answer; end when the caller hangs up, or after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass
    return problem(504, "The card network did not answer in time")


def problem(status: int, title: str, detail: str = "") -> Response:
    body = {"title": title, "status": status, "detail": detail}
    return json_response(body, status, media_type="application/problem+json")


async def refused(request: Request, error: Exception) -> Response:
    return problem(422, "Contradicts the record", str(error))


async def too_large(request: Request, error: Exception) -> Response:
    answer = problem(413, "Content Too Large", f"the body has more than {MAX_BODY} bytes")
    answer.headers["Connection"] = "close"
    return answer


async def hung_up(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    found = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
    return problem(422, "Invalid body", "; ".join(found))
