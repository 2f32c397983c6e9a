"""The rules for one settled order about which nothing is under way, one function for each subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from verification.audit.findings import Violation
from verification.audit.gateway import GatewayRecord
from verification.audit.orders import BAD, FACTS, OPEN, OrderHistory

PAYMENT_ENDS = {"CONFIRMED": ("PAID",), "COMPLETED": ("PAID",), "REFUSED": ("NEW",)}
INVENTORY_ENDS = {"CONFIRMED": ("RESERVED",), "COMPLETED": ("SHIPPED",), "REFUSED": ("NEW",)}
UNDONE_PAYMENT, UNDONE_STOCK = ("FAILED", "REFUNDED", "VOIDED", "FAILED?", "VOIDED?"), ("RELEASED", "VOIDED")
REPORT_LOG = {
    report: "payment.events" if report.startswith("Payment") else "inventory.events"
    for report in FACTS.values()
}


@dataclass(frozen=True)
class Lack:
    """A rule that an order breaks. ``missing``: something has not happened yet, which a dead letter explains."""

    rule: str
    expected: str
    found: str
    where: str
    missing: bool = False


def lacks(order: str, history: OrderHistory, gateway: GatewayRecord | None, sure_until: int) -> list[Lack]:
    """All rules that a quiet order breaks; see :func:`verification.audit.judge.judge` for ``sure_until``."""
    found = [*_settled(history), *_payment(history), *_inventory(history), *_facts(history)]
    return [*found, *_gateway(order, history, gateway, sure_until)] if gateway else found


def _settled(history: OrderHistory) -> Iterator[Lack]:
    where = "order.events"
    if history.order in OPEN:
        found = (
            f"{history.order}, payment {history.payment}, inventory {history.inventory}; nothing is under way"
        )
        yield Lack("no order is stuck", "a settled order", found, where, missing=True)
    elif history.order == "NEW" and (history.payment, history.inventory) != ("NEW", "NEW"):
        found = f"payment {history.payment}, inventory {history.inventory}"
        yield Lack("one OrderCreated", "an OrderCreated", f"none, but {found}", where)


def _payment(history: OrderHistory) -> Iterator[Lack]:
    where = "payment.events"
    ends = UNDONE_PAYMENT if history.order in BAD else PAYMENT_ENDS.get(history.order)
    if ends and history.payment not in ends:
        missing = history.order in BAD and history.payment in ("NEW", "NEW?", "PAID")
        found = f"payment {history.payment} of {history.charged - history.refunded:,}"
        yield Lack("charged − refunded", f"{_either(ends)} for {history.order}", found, where, missing)
    if history.charged and (history.charged, history.paid_in) != (history.total, history.currency):
        found = f"{history.charged:,} {history.paid_in}"
        yield Lack("charged − refunded", f"a charge of {history.total:,} {history.currency}", found, where)


def _inventory(history: OrderHistory) -> Iterator[Lack]:
    where = "inventory.events"
    ends = UNDONE_STOCK if history.order in BAD else INVENTORY_ENDS.get(history.order)
    late = history.order in (*BAD, "COMPLETED")
    if ends and history.inventory not in ends:
        yield Lack(
            "held + shipped",
            f"{_either(ends)} for {history.order}",
            f"inventory {history.inventory}",
            where,
            late,
        )
    if history.order in OPEN:
        return
    for product in {**history.wanted, **history.stock}:
        wanted, (held, shipped) = history.wanted.get(product, 0), history.stock.get(product, (0, 0))
        should = {"CONFIRMED": (wanted, 0), "COMPLETED": (0, wanted)}.get(history.order, (0, 0))
        if (held, shipped) != should:
            expected = (
                f"{should[0]:,} held and {should[1]:,} shipped of product {product} for {history.order}"
            )
            found = f"{held:,} held and {shipped:,} shipped"
            yield Lack("held + shipped", expected, found, "stock.events", late)


def _facts(history: OrderHistory) -> Iterator[Lack]:
    for fact, report in FACTS.items():
        if report in history.seen and fact not in history.seen:
            yield Lack(
                "reports recorded", f"{fact}, since there is {report}", "none", "order.events", missing=True
            )
        if fact in history.seen and report not in history.seen:
            yield Lack("reports recorded", f"{report}, since there is {fact}", "none", REPORT_LOG[report])


def _gateway(order: str, history: OrderHistory, gateway: GatewayRecord, sure_until: int) -> Iterator[Lack]:
    for kind, amount, identity in (
        ("CHARGE", history.charged, history.charge),
        ("REFUND", history.refunded, history.refund),
    ):
        moved = gateway.of(order, kind)
        where = f"the gateway's record{', ' + moved[0].key if moved else ''}"
        if not amount:
            early = [m for m in moved if m.seq <= sure_until]
            if early:
                found = f"{early[0].amount:,} {early[0].currency}"
                yield Lack("agrees with the gateway", f"no {kind.lower()}", found, where, missing=True)
        elif not moved:
            expected = f"a {kind.lower()} of {amount:,} {history.paid_in} ({identity})"
            yield Lack("agrees with the gateway", expected, "none", where)
        elif (moved[0].amount, moved[0].currency, moved[0].id) != (amount, history.paid_in, identity):
            expected = f"a {kind.lower()} of {amount:,} {history.paid_in} ({identity})"
            found = f"{moved[0].amount:,} {moved[0].currency} ({moved[0].id})"
            yield Lack("agrees with the gateway", expected, found, where)


def doubles(order: str, gateway: GatewayRecord) -> Iterator[Violation]:
    """Money that moved twice."""
    for kind in ("CHARGE", "REFUND"):
        moved = gateway.of(order, kind)
        if len(moved) > 1:
            found = f"{len(moved)}: {', '.join(f'{m.amount:,} {m.currency} ({m.key})' for m in moved)}"
            yield Violation(
                "charged once", order, f"at most one {kind.lower()}", found, "the gateway's record"
            )


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)
