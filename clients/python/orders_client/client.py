"""The calls of each service. A client is used in ``async with``, or closed with :meth:`close`."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

from orders_client import batches, streams
from orders_client.batches import BatchAnswer
from orders_client.connection import Connection, Token
from orders_client.models import (
    AcceptedView,
    EventView,
    OrderOfItems,
    OrderOfOne,
    OrderView,
    PaymentView,
    StockView,
    WhyView,
)
from orders_client.streams import StreamEvent

TIMEOUT = 10.0
"""Seconds of one attempt."""
PATIENCE = 30.0
"""Seconds over which a call is attempted."""


class Client:
    """What the clients of all services have in common.

    ``url``: of the service, or of the gateway before its replicas. ``token``: who asks, where access control is on: a
    bearer token, or a function that gives one. ``timeout``: seconds of one attempt. ``patience``: seconds over which
    a call is attempted. ``tls``: whom to trust, where that is not what the system says.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connection = Connection(url, token=token, timeout=timeout, patience=patience, tls=tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. A later call opens others."""
        await self._connection.close()

    async def _pages(
        self, path: str, items: str, following: str, query: dict[str, Any]
    ) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            page = await self._connection.call("GET", path, query={**query, "cursor": cursor})
            for one in page[items]:
                yield one
            if (cursor := page[following]) is None:
                return


class Orders(Client):
    """The order service. Every call may raise ProblemAnswer and NoAnswer.

    ``key`` is the idempotency key of a call: the same key and the same arguments have one effect and one answer,
    however often they are sent. Without one each call gets a key of its own, so its repetitions are safe too.
    """

    async def place(
        self, order: OrderOfItems | OrderOfOne, *, key: str | None = None, wait: float | None = None
    ) -> AcceptedView | OrderView:
        """Create an order. ``wait``: seconds to wait for it to settle; then the answer is the order as it stands."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        if wait is not None:
            headers["Prefer"] = f"wait={wait:.0f}"
        found: AcceptedView | OrderView = await self._connection.call(
            "POST", "/orders", headers=headers, json=order, longer=wait or 0.0
        )
        return found

    async def show(
        self, order_id: str, *, wait: float | None = None, as_of: datetime | int | None = None
    ) -> OrderView:
        """The order as it is now; with ``wait`` (seconds), as soon as it is settled.

        ``as_of``: as it was at an instant, with its time zone, or at a version.
        """
        instant = as_of.isoformat() if isinstance(as_of, datetime) else as_of
        found: OrderView = await self._connection.call(
            "GET", _order(order_id), query={"wait": wait, "asOf": instant}, longer=wait or 0.0
        )
        return found

    def events(self, order_id: str, *, limit: int | None = None) -> AsyncIterator[EventView]:
        """The events of the order so far, oldest first. ``limit``: events that one request asks for."""
        return self._pages(f"{_order(order_id)}/events", "events", "next", {"limit": limit})

    async def cancel(self, order_id: str, *, reason: str | None = None, key: str | None = None) -> OrderView:
        """Cancel an order that is not completed and has not failed. What was done for it is undone."""
        body = {} if reason is None else {"reason": reason}
        return await self._change(order_id, "cancel", body, key)

    async def complete(self, order_id: str, *, key: str | None = None) -> OrderView:
        """Complete a confirmed order: its goods were handed over."""
        return await self._change(order_id, "complete", {}, key)

    def list(
        self,
        *,
        user_id: str | None = None,
        status: str | None = None,
        payment: str | None = None,
        created_after: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[OrderView]:
        """Orders, the newest first. ``limit``: orders a request asks for. ``created_after`` has a time zone."""
        query = {
            "userId": user_id,
            "status": status,
            "payment": payment,
            "createdAfter": None if created_after is None else created_after.isoformat(),
            "limit": limit,
        }
        return self._pages("/orders", "orders", "next", query)

    def stream(self, order_id: str, *, after: str | None = None) -> AsyncIterator[StreamEvent]:
        """The events of an order, all or those after the id ``after``, and further ones as they happen."""
        return streams.stream(self._connection, f"{_order(order_id)}/stream", {}, after)

    def stream_of_user(self, user_id: str, *, after: str | None = None) -> AsyncIterator[StreamEvent]:
        """The events of all orders of a user from now on, or after the id ``after``, as they happen."""
        return streams.stream(self._connection, "/orders/stream", {"userId": user_id}, after)

    def place_many(
        self, orders: Iterable[OrderOfItems | OrderOfOne] | AsyncIterable[OrderOfItems | OrderOfOne]
    ) -> AsyncIterator[BatchAnswer]:
        """Create many orders with one call: an answer for each, in their order.

        Orders are read from the caller as fast as they are taken. One may bring its ``idempotencyKey``.
        """
        return batches.Batch(orders).answers(self._connection, "/orders/batch")

    async def why(self, order_id: str) -> WhyView:
        """Everything that has to do with an order, as a tree of causes and effects."""
        found: WhyView = await self._connection.call("GET", f"{_order(order_id)}/why")
        return found

    async def _change(self, order_id: str, verb: str, body: dict[str, Any], key: str | None) -> OrderView:
        found: OrderView = await self._connection.call(
            "POST",
            f"{_order(order_id)}/{verb}",
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
            json=body,
        )
        return found


class Payments(Client):
    """The payment service. Every call may raise ProblemAnswer and NoAnswer."""

    async def show(self, order_id: str) -> PaymentView:
        """Where the payment of an order stands."""
        found: PaymentView = await self._connection.call("GET", f"/payments/{quote(order_id, safe='')}")
        return found

    def list(
        self,
        *,
        order_id: str | None = None,
        user_id: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[PaymentView]:
        """Payments, the newest first. ``limit``: payments that one request asks for."""
        query = {"orderId": order_id, "userId": user_id, "status": status, "limit": limit}
        return self._pages("/payments", "payments", "next", query)


class Stock(Client):
    """The inventory service. Every call may raise ProblemAnswer and NoAnswer. Quantities are pieces."""

    async def show(self, product_id: str) -> StockView:
        """One product."""
        found: StockView = await self._connection.call("GET", _product(product_id))
        return found

    async def adjust(
        self, product_id: str, quantity: int, reason: str, *, key: str | None = None
    ) -> StockView:
        """Record pieces that came (positive) or went (negative). ``key``: as of :class:`Orders`."""
        found: StockView = await self._connection.call(
            "POST",
            f"{_product(product_id)}/adjustments",
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
            json={"quantity": quantity, "reason": reason},
        )
        return found

    def list(self, *, limit: int | None = None) -> AsyncIterator[StockView]:
        """All products, in order of their ids. ``limit``: products that one request asks for."""
        return self._pages("/stock", "items", "nextCursor", {"limit": limit})


def _order(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"


def _product(product_id: str) -> str:
    return f"/stock/{quote(product_id, safe='')}"
