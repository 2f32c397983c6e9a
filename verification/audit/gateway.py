"""The gateway's own record of what it charged and refunded, read over HTTP from the payment simulator."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple


class GatewayAway(Exception):
    """The record cannot be read; the message says why and what to do."""


class Moved(NamedTuple):
    """A charge or refund that succeeded. ``seq`` is its place in the record, ``amount`` in minor units."""

    seq: int
    key: str
    order: str
    kind: str
    amount: int
    currency: str
    id: str


class GatewayRecord:
    """What moved at the gateway, by order. Call ``read`` again for what is new."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.by_order: dict[str, list[Moved]] = {}
        self.last = 0

    def read(self) -> None:
        """Add everything that is on record now. Raises GatewayAway."""
        url = f"{self.url}/record?after={self.last}"
        try:
            # Not through a proxy of the environment: the gateway stands beside the system.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=30) as answer:
                for line in answer:
                    self.add(json.loads(line))
        except (OSError, ValueError, KeyError) as error:
            raise GatewayAway(
                f"The gateway's record at {url} cannot be read ({error}): start it, or name it with "
                "PAYMENT_GATEWAY_URL."
            ) from error

    def add(self, row: dict[str, Any]) -> None:
        """One attempt on record; what was declined or failed moved nothing."""
        self.last = max(self.last, int(row["seq"]))
        if row["outcome"] == "SUCCEEDED":
            moved = Moved(
                row["seq"], row["key"], row["orderId"], row["kind"], row["amount"], row["currency"], row["id"]
            )
            self.by_order.setdefault(moved.order, []).append(moved)

    def of(self, order: str, kind: str) -> list[Moved]:
        """What succeeded for an order; ``kind`` is CHARGE or REFUND."""
        return [moved for moved in self.by_order.get(order, ()) if moved.kind == kind]
