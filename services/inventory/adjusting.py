"""Stock adjustments over HTTP: each is decided before it is answered, and one with a key is decided once.

The first answer under a key is what the log says: how the stock stood after it, or why it was refused. So all
replicas give the same one, at any time, whatever happened to the stock since.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from uuid import UUID, uuid5

from fastapi import Request

from eventbus import Bus, Message, Position, RequestId
from eventbus.http import IDEMPOTENCY_KEY, Problem, caller, key_reused, trace
from schemas import AdjustStock, StockRefused, StockRepeated
from services.inventory.problems import NOT_DECIDED, NOT_DECIDED_IN_TIME, NOT_ENOUGH_STOCK
from services.inventory.stock_projection import adjusted
from services.inventory.views import StockView, stock_view

NAMESPACE = UUID("e3a3c9a8-38f4-5f0b-8e0a-5a4a4d9f2c61")
"""Of the ids of keyed commands."""


@dataclass(frozen=True)
class Adjusting:
    """Adjusts the stock of one replica's view. ``timeout``: seconds for an adjustment to be decided."""

    bus: Bus
    timeout: float

    async def adjust(self, command: AdjustStock, request: Request) -> tuple[StockView | None, bool]:
        """The stock that the first answer tells, None without a key; and whether it is a replay.

        Raises Problem: 409 if it was refused, 422 if the key was used for another adjustment, 503 if it is not
        decided in time.
        """
        key = command.adjustment_id
        if key is not None and (row := adjusted(self.bus, command.product_id, key)):
            return first_answer(row, command, None), True
        sent, event = await self._decided(command, request)
        if key is not None and (row := adjusted(self.bus, command.product_id, key)):
            return first_answer(row, command, sent), row["cause"] != str(sent)
        raise_if_refused(event)
        return None, False

    async def _decided(self, command: AdjustStock, request: Request) -> tuple[Position, Message]:
        """Where the command stands, and the event that answers it. Raises Problem (503) if there is none in time."""
        who, asked = caller(request), request_of(command)
        position = await self.bus.send(command, by=who, request=asked, **trace(request.headers))
        try:
            events = await self.bus.answer(position, self.timeout)
        except TimeoutError as error:
            advice = (
                f"repeat the request with the same {IDEMPOTENCY_KEY}"
                if command.adjustment_id
                else f"it may still be decided, and repeating it without an {IDEMPOTENCY_KEY} may adjust twice"
            )
            raise Problem(
                NOT_DECIDED_IN_TIME, f"{position}: {advice}", headers={"Retry-After": "1"}
            ) from error
        if not events:
            raise Problem(NOT_DECIDED, f"{position} became a dead letter, or an operator set it aside")
        return position, events[0]


def request_of(command: AdjustStock) -> RequestId | None:
    """The id of a keyed command: a refusal holds no fingerprint, and so the log has it all the same."""
    if command.adjustment_id is None:
        return None
    request = uuid5(NAMESPACE, json.dumps([command.product_id, command.adjustment_id]))
    return RequestId(str(request), command.fingerprint)


def first_answer(row: sqlite3.Row, command: AdjustStock, sent: Position | None) -> StockView:
    """The stock that the first answer told. Raises Problem: 409 as it was told first, 422 for another adjustment."""
    identical = row["fingerprint"] in (None, command.fingerprint) and row["quantity"] == command.quantity
    if not identical:
        raise key_reused("was used before for another adjustment of this product")
    if row["refused"] is not None:
        replay = {} if row["cause"] == str(sent) else {"Idempotent-Replay": "true"}
        raise refused(command.product_id, row["refused"], row["available"], replay)
    return stock_view(row)


def raise_if_refused(event: Message) -> None:
    """Raises Problem: 409 if there is not enough in stock, 422 if the key was used for another adjustment."""
    match event:
        case StockRefused():
            raise refused(event.product_id, event.reason, event.available_qty)
        case StockRepeated(identical=False):
            raise key_reused("was used before for another adjustment of this product")


def refused(product_id: str, reason: str, available: int, headers: dict[str, str] | None = None) -> Problem:
    """409: there is not enough in stock."""
    return Problem(NOT_ENOUGH_STOCK, reason, headers=headers, productId=product_id, availableQty=available)
