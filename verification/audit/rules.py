"""What must hold of one settled order that nothing is on its way for: the rules, one function a subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from verification.audit.findings import Violation
from verification.audit.gateway import GatewayRecord
from verification.audit.orders import BAD, FACTS, OPEN, Life

PAYMENT_ENDS = {"CONFIRMED": ("PAID",), "COMPLETED": ("PAID",), "REFUSED": ("NEW",)}
INVENTORY_ENDS = {"CONFIRMED": ("RESERVED",), "COMPLETED": ("SHIPPED",), "REFUSED": ("NEW",)}
UNDONE_PAYMENT, UNDONE_STOCK = ("FAILED", "REFUNDED", "VOIDED", "FAILED?", "VOIDED?"), ("RELEASED", "VOIDED")
REPORT_LOG = {
    report: "payment.events" if report.startswith("Payment") else "inventory.events"
    for report in FACTS.values()
}


@dataclass(frozen=True)
class Lack:
    """A rule an order breaks. ``missing``: something has not come about, which a dead letter explains."""

    rule: str
    expected: str
    found: str
    where: str
    missing: bool = False


def lacks(order: str, life: Life, gateway: GatewayRecord | None, sure_until: int) -> list[Lack]:
    """All rules that a quiet order breaks; see :func:`verification.audit.judge.judge` for ``sure_until``."""
    found = [*_settled(life), *_payment(life), *_inventory(life), *_facts(life)]
    return [*found, *_gateway(order, life, gateway, sure_until)] if gateway else found


def _settled(life: Life) -> Iterator[Lack]:
    where = "order.events"
    if life.order in OPEN:
        found = f"{life.order}, payment {life.payment}, inventory {life.inventory}, and nothing is on its way"
        yield Lack("no order is stuck", "a settled order", found, where, missing=True)
    elif life.order == "NEW" and (life.payment, life.inventory) != ("NEW", "NEW"):
        found = f"payment {life.payment}, inventory {life.inventory}"
        yield Lack("one OrderCreated", "an OrderCreated", f"none, but {found}", where)


def _payment(life: Life) -> Iterator[Lack]:
    where = "payment.events"
    ends = UNDONE_PAYMENT if life.order in BAD else PAYMENT_ENDS.get(life.order)
    if ends and life.payment not in ends:
        missing = life.order in BAD and life.payment in ("NEW", "NEW?", "PAID")
        found = f"payment {life.payment} of {life.charged - life.refunded:,}"
        yield Lack("charged − refunded", f"{_either(ends)} for {life.order}", found, where, missing)
    if life.charged and (life.charged, life.paid_in) != (life.total, life.currency):
        found = f"{life.charged:,} {life.paid_in}"
        yield Lack("charged − refunded", f"a charge of {life.total:,} {life.currency}", found, where)


def _inventory(life: Life) -> Iterator[Lack]:
    where = "inventory.events"
    ends = UNDONE_STOCK if life.order in BAD else INVENTORY_ENDS.get(life.order)
    late = life.order in (*BAD, "COMPLETED")
    if ends and life.inventory not in ends:
        yield Lack(
            "held + shipped", f"{_either(ends)} for {life.order}", f"inventory {life.inventory}", where, late
        )
    if life.order in OPEN:
        return
    for product in {**life.wanted, **life.stock}:
        wanted, (held, shipped) = life.wanted.get(product, 0), life.stock.get(product, (0, 0))
        should = {"CONFIRMED": (wanted, 0), "COMPLETED": (0, wanted)}.get(life.order, (0, 0))
        if (held, shipped) != should:
            expected = f"{should[0]:,} held and {should[1]:,} shipped of product {product} for {life.order}"
            found = f"{held:,} held and {shipped:,} shipped"
            yield Lack("held + shipped", expected, found, "stock.events", late)


def _facts(life: Life) -> Iterator[Lack]:
    for fact, report in FACTS.items():
        if report in life.seen and fact not in life.seen:
            yield Lack(
                "reports recorded", f"{fact}, since there is {report}", "none", "order.events", missing=True
            )
        if fact in life.seen and report not in life.seen:
            yield Lack("reports recorded", f"{report}, since there is {fact}", "none", REPORT_LOG[report])


def _gateway(order: str, life: Life, gateway: GatewayRecord, sure_until: int) -> Iterator[Lack]:
    for kind, amount, identity in (
        ("CHARGE", life.charged, life.charge),
        ("REFUND", life.refunded, life.refund),
    ):
        moved = gateway.of(order, kind)
        where = f"the gateway's record{', ' + moved[0].key if moved else ''}"
        if not amount:
            early = [m for m in moved if m.seq <= sure_until]
            if early:
                found = f"{early[0].amount:,} {early[0].currency}"
                yield Lack("agrees with the gateway", f"no {kind.lower()}", found, where, missing=True)
        elif not moved:
            expected = f"a {kind.lower()} of {amount:,} {life.paid_in} ({identity})"
            yield Lack("agrees with the gateway", expected, "none", where)
        elif (moved[0].amount, moved[0].currency, moved[0].id) != (amount, life.paid_in, identity):
            expected = f"a {kind.lower()} of {amount:,} {life.paid_in} ({identity})"
            found = f"{moved[0].amount:,} {moved[0].currency} ({moved[0].id})"
            yield Lack("agrees with the gateway", expected, found, where)


def doubles(order: str, gateway: GatewayRecord) -> Iterator[Violation]:
    """Money that moved twice, whatever else is known of the order."""
    for kind in ("CHARGE", "REFUND"):
        moved = gateway.of(order, kind)
        if len(moved) > 1:
            found = f"{len(moved)}: {', '.join(f'{m.amount:,} {m.currency} ({m.key})' for m in moved)}"
            yield Violation(
                "charged once", order, f"at most one {kind.lower()}", found, "the gateway's record"
            )


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)
