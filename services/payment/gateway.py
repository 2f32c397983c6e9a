"""The payment gateway: a protocol, and the adapter that speaks to one over HTTP.

The adapter expects of the other side what any serious gateway offers: PUT by an idempotency key, GET of
what became of a key, and DELETE, which takes a key out of use unless it was used already. An attempt ends so:

    Receipt SUCCEEDED, DECLINED   final
    Receipt VOIDED                withdrawn before it moved anything, and for good
    Receipt FAILED                a definite failure: nothing was moved under this key, nor ever will be
    Poison                        refused as wrong (4xx): nothing was moved, asking again would not help
    Retryable                     no usable answer: whether money was moved is unknown
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL

from eventbus import Poison, Retryable

REPLAYED = "Idempotent-Replayed"
TRANSIENT = frozenset({408, 409, 425, 429})
"""Client errors that may pass: a timeout, the same key still in progress, too early, too many requests."""


class Result(StrEnum):
    """How an attempt ended at the gateway."""

    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    VOIDED = "VOIDED"


@dataclass(frozen=True)
class Receipt:
    """What the gateway has on record for a key. ``replayed``: it was on record before this was asked."""

    key: str
    result: Result
    id: str = ""
    reason: str = ""
    replayed: bool = False


class Gateway(Protocol):
    """Moves money. Idempotent by key: the same key always gets the same answer. Amounts in minor units."""

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt: ...

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt: ...

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        """Take a charge's key out of use: VOIDED, or what became of the charge before."""
        ...

    async def lookup(self, key: str) -> Receipt | None:
        """What became of ``key``; None if the gateway never heard of it."""
        ...


class HttpGateway:
    """A :class:`Gateway` over HTTP. One pool of connections; each call has ``timeout`` seconds in all.

    ``authorization`` is that header's value, if the gateway wants one. It is in no error: errors become dead letters.
    """

    def __init__(
        self, url: str, *, timeout: float, connections: int, authorization: str | None = None
    ) -> None:
        self._url, self._timeout, self._connections = url.rstrip("/"), timeout, connections
        self._headers = {"Authorization": authorization} if authorization else None
        self._session: aiohttp.ClientSession | None = None

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency, "paymentMethod": payment_method}
        return _receipt(key, await self._send("PUT", key, body))

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency, "chargeId": charge_id}
        return _receipt(key, await self._send("PUT", key, body))

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency}
        return _receipt(key, await self._send("DELETE", key, body))

    async def lookup(self, key: str) -> Receipt | None:
        answer = await self._send("GET", key)
        return None if answer.status == 404 else _receipt(key, answer)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, method: str, key: str, body: dict[str, Any] | None = None) -> _Answer:
        kind = "refunds" if key.startswith("refund:") else "charges"
        url = URL(f"{self._url}/{kind}/{quote(key, safe=':')}", encoded=True)
        try:
            async with self._pool().request(method, url, json=body) as answer:
                replayed = method == "GET" or answer.headers.get(REPLAYED) == "true"
                return _Answer(answer.status, await answer.text(), replayed)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retryable(f"{method} {url}: no answer from the gateway ({error!r})") from error

    def _pool(self) -> aiohttp.ClientSession:
        # Made on first use: a session belongs to the event loop that runs it.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(limit=self._connections),
            )
        return self._session


class _Answer(NamedTuple):
    status: int
    text: str
    replayed: bool


def _receipt(key: str, answer: _Answer) -> Receipt:
    said = f"{key}: the gateway answered {answer.status}: {answer.text[:300]!r}"
    if 400 <= answer.status < 500 and answer.status not in TRANSIENT:
        raise Poison(said)
    try:
        fields = json.loads(answer.text)
        result = Result(fields["outcome"])
        return Receipt(key, result, fields.get("id") or "", fields.get("reason") or "", answer.replayed)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Retryable(said) from error
