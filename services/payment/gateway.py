"""The payment gateway: a protocol, and the adapter that speaks to one over HTTP.

The adapter needs three calls: PUT with an idempotency key, GET of the result of a key, and DELETE, which makes a key
unusable unless it was used already. An attempt ends in one of these ways:

    Receipt SUCCEEDED, DECLINED   final
    Receipt VOIDED                withdrawn before it moved money, and final
    Receipt FAILED                a definite failure: this key moved no money and never will
    Poison                        refused as wrong (4xx): no money was moved, and a repeat would not help
    Retryable                     no usable answer: it is unknown whether money was moved
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote

from eventbus import Retryable
from eventbus.http_client import HttpAnswer, HttpClient

REPLAYED = "Idempotent-Replayed"
SERVER_ERRORS = range(500, 600)
"""A definite failure has one of these, with its record as the body. Without a record they say nothing."""


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
        """Make a charge's key unusable: VOIDED, or the receipt of the charge if it was used before."""
        ...

    async def lookup(self, key: str) -> Receipt | None:
        """The receipt of ``key``; None if the gateway does not know it."""
        ...


class HttpGateway:
    """A :class:`Gateway` over HTTP. One pool of connections; each call has ``timeout`` seconds in all.

    ``authorization`` is that header's value, if the gateway wants one. It is in no error: errors become dead letters.
    """

    def __init__(
        self, url: str, *, timeout: float, connections: int, authorization: str | None = None
    ) -> None:
        self._client = HttpClient(url, timeout=timeout, connections=connections, authorization=authorization)

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency, "paymentMethod": payment_method}
        return self._receipt(key, await self._send("PUT", key, body))

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency, "chargeId": charge_id}
        return self._receipt(key, await self._send("PUT", key, body))

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        body = {"orderId": order_id, "amount": amount, "currency": currency}
        return self._receipt(key, await self._send("DELETE", key, body))

    async def lookup(self, key: str) -> Receipt | None:
        answer = await self._client.request("GET", _path(key), expected={404, *SERVER_ERRORS})
        return None if answer.status == 404 else self._receipt(key, answer, looked_up=True)

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._client.close()

    async def _send(self, method: str, key: str, body: dict[str, Any]) -> HttpAnswer:
        return await self._client.request(method, _path(key), json=body, expected=SERVER_ERRORS)

    def _receipt(self, key: str, answer: HttpAnswer, *, looked_up: bool = False) -> Receipt:
        """The record in an answer. Raises Retryable if there is none: whether money was moved is unknown."""
        replayed = looked_up or answer.headers.get(REPLAYED) == "true"
        try:
            fields = json.loads(answer.text)
            result = Result(fields["outcome"])
            return Receipt(key, result, fields.get("id") or "", fields.get("reason") or "", replayed)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            text = self._client.without_credentials(answer.text[:300])
            raise Retryable(
                f"{key}: the gateway answered {answer.status} without a record: {text!r}"
            ) from error


def _path(key: str) -> str:
    kind = "refunds" if key.startswith("refund:") else "charges"
    return f"/{kind}/{quote(key, safe=':')}"
