"""The bare payment service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from confluent_kafka import Message
from msgspec.json import decode, encode

from bench.bare.flow.records import Output, Outputs, inputs
from bench.bare.flow.service import Service

CALLS = 256
"""Under way at a time."""
JSON = {"Content-Type": "application/json"}


class Payment(Service):
    """Charges each order at a gateway over HTTP, those of a batch side by side."""

    reads = ("order.events",)

    def __init__(self, folder: Path, gateway: str) -> None:
        super().__init__(folder)
        self._gateway = gateway
        self._loop = uvloop.new_event_loop()
        self._client = self._loop.run_until_complete(self._open())

    def close(self) -> None:
        super().close()
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=5), connector=aiohttp.TCPConnector(limit=CALLS)
        )

    def decide(self, batch: Sequence[Message]) -> Sequence[Output]:
        created = list(inputs(batch, ("OrderCreated",)))
        receipts = self._loop.run_until_complete(self._charge([one.fields for one in created]))
        outputs = Outputs("payment")
        for one, receipt in zip(created, receipts, strict=True):
            if receipt["outcome"] != "SUCCEEDED":
                raise RuntimeError(f"a charge did not succeed: {receipt}")
            order = one.fields
            paid = {
                "orderId": order["orderId"],
                "userId": order["userId"],
                "amount": order["totalAmount"],
                "currency": order["currency"],
                "chargeId": receipt["id"],
            }
            outputs.add("payment.events", "PaymentSucceeded", one.key, paid, one, 1, 0)
            self.changed[order["orderId"]] = paid
        return outputs

    async def _charge(self, orders: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        return await asyncio.gather(*(self._one(order) for order in orders))

    async def _one(self, order: dict[str, Any]) -> dict[str, Any]:
        body = {
            "orderId": order["orderId"],
            "amount": order["totalAmount"],
            "currency": order["currency"],
            "paymentMethod": order["paymentMethod"],
        }
        url = f"{self._gateway}/charges/charge:{order['orderId']}"
        async with self._client.put(url, data=encode(body), headers=JSON) as answer:
            receipt: dict[str, Any] = decode(await answer.read())
            return receipt
