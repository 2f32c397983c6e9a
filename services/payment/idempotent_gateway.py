"""Calls the gateway so that a repeat, a crash or a lost answer never moves money twice.

Charges have the keys ``charge:{orderId}:1``, ``:2``, ...; the refund has ``refund:{orderId}``. The number grows only
after a *definite* failure that the gateway has on record. Nothing is remembered across a crash: the next process
starts again at 1, and the gateway answers each key as it did before.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from eventbus import Outcome, Poison, Request, Retryable
from schemas import OrderCreated
from services.payment.decider import Charge, Charged, Declined, Refund, Refunded, Withdraw, Withdrawn
from services.payment.gateway import Gateway, Receipt, Result


def now() -> int:
    """Ms since epoch."""
    return time.time_ns() // 1_000_000


class IdempotentGateway:
    """The reactor's ``call``. Raises Retryable if a later attempt may succeed, Poison if a person is needed."""

    def __init__(self, gateway: Gateway, clock: Callable[[], int] = now) -> None:
        self._gateway, self._clock = gateway, clock
        self._in_doubt: set[str] = set()

    async def call(self, request: Request) -> Outcome:
        """Answer a Charge, a Refund or a Withdraw. It may be repeated at any time, also after an exception."""
        match request:
            case Charge():
                return await self._charge(request)
            case Refund():
                return await self._refund(request)
            case Withdraw():
                return await self._withdraw(request.order)
        raise TypeError(f"payment makes no such request: {request!r}")

    async def _charge(self, charge: Charge) -> Charged | Declined:
        order = charge.order
        if order.deadline_at is not None and self._clock() >= order.deadline_at:
            receipt = await self._void(order)
            if receipt.result is Result.SUCCEEDED:
                return Charged(order, receipt.id)
            return Declined(order, "the deadline has passed")
        ask = partial(
            self._gateway.charge,
            order_id=order.order_id,
            amount=order.total_amount,
            currency=order.currency,
            payment_method=order.payment_method,
        )
        n = 1
        while True:
            receipt = await self._settle(f"charge:{order.order_id}:{n}", ask)
            match receipt.result:
                case Result.SUCCEEDED:
                    return Charged(order, receipt.id)
                case Result.DECLINED:
                    return Declined(order, receipt.reason)
                case Result.FAILED if not receipt.replayed:
                    raise Retryable(f"{receipt.key} failed at the gateway: {receipt.reason}")
                case Result.VOIDED:
                    return Declined(order, "the charge was withdrawn")
            n += 1  # the key failed in an earlier attempt and cannot be used again

    async def _void(self, order: OrderCreated) -> Receipt:
        """Prevent any later charge of the order. SUCCEEDED if it was charged before, else VOIDED or DECLINED."""
        n = 1
        while True:
            key = f"charge:{order.order_id}:{n}"
            receipt = await self._gateway.void(
                key, order_id=order.order_id, amount=order.total_amount, currency=order.currency
            )
            self._in_doubt.discard(key)
            if receipt.result is not Result.FAILED:
                return receipt
            n += 1

    async def _withdraw(self, order: OrderCreated) -> Withdrawn:
        receipt = await self._void(order)
        if receipt.result is not Result.SUCCEEDED:
            return Withdrawn(order)
        refunded = await self._refund(Refund(order.order_id, order.total_amount, order.currency, receipt.id))
        return Withdrawn(order, receipt.id, refunded.refund_id)

    async def _refund(self, refund: Refund) -> Refunded:
        ask = partial(
            self._gateway.refund,
            order_id=refund.order_id,
            amount=refund.amount,
            currency=refund.currency,
            charge_id=refund.charge_id,
        )
        receipt = await self._settle(f"refund:{refund.order_id}", ask)
        if receipt.result is not Result.SUCCEEDED:
            raise Poison(f"{receipt.key}: the gateway did not pay back: {receipt.result}, {receipt.reason}")
        return Refunded(refund, receipt.id)

    async def _settle(self, key: str, ask: Callable[[str], Awaitable[Receipt]]) -> Receipt:
        """The receipt of ``key``: looked up if an earlier answer was lost, else asked for."""
        if key in self._in_doubt:
            receipt = await self._gateway.lookup(key)
            if receipt is not None:
                self._in_doubt.discard(key)
                return receipt
        # In doubt until an answer is received. After a timeout, a lost connection or a cancelled call it stays so.
        self._in_doubt.add(key)
        try:
            receipt = await ask(key)
        except Poison:
            self._in_doubt.discard(key)
            raise
        self._in_doubt.discard(key)
        return receipt
