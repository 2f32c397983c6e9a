"""The money of one order, event by event: its value, what was charged and what was refunded."""

from __future__ import annotations

from collections.abc import Iterator

from eventbus.model.messages import Message
from schemas import OrderConfirmed, OrderCreated, OrderPaid, OrderRefunded, PaymentRefunded, PaymentSucceeded
from verification.audit.findings import Broken
from verification.audit.orders import OrderHistory


def account(history: OrderHistory, event: Message, time: int) -> Iterator[Broken]:
    """Fold the amounts of an event that was legal at ``time`` (ms since epoch); gives the rules it breaks."""
    history.since = history.since or time
    match event:
        case OrderCreated():
            history.currency, history.total = event.currency, event.total_amount
            for item in event.items:
                history.wanted[item.product_id] = history.wanted.get(item.product_id, 0) + item.quantity
            value = sum(item.quantity * item.unit_price for item in event.items)
            yield from _same("value of items", value, event.total_amount)
        case OrderPaid() | OrderRefunded():
            yield from _same("amount recorded", history.total, event.amount)
        case OrderConfirmed():
            yield from _same("amount confirmed", history.total, event.total_amount)
            missing = [fact for fact in ("OrderPaid", "OrderReserved") if fact not in history.seen]
            if missing:
                found = f"confirmed without {' and '.join(missing)}"
                yield Broken("legal transitions", "OrderPaid and OrderReserved first", found)
            yield from _priced(event)
        case PaymentSucceeded():
            yield from _priced(event)
            history.charged, history.paid_in, history.charge = event.amount, event.currency, event.charge_id
        case PaymentRefunded():
            history.refunded, history.refund = event.amount, event.refund_id
            yield from _same("amount refunded", history.charged, event.amount)


def _priced(event: OrderConfirmed | PaymentSucceeded) -> Iterator[Broken]:
    """An order that names no price (version 1 of OrderCreated) is not free: it is never paid or confirmed."""
    if not event.currency:
        yield Broken("no price, no order", "an amount in a currency", f"{event.name} without a currency")


def _same(rule: str, expected: int, found: int) -> Iterator[Broken]:
    if expected != found:
        yield Broken(rule, f"{expected:,}", f"{found:,}")
