"""The result as text for people and as JSON. Control characters in records are made visible in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from eventbus.visible import visible, visible_json
from verification.audit.judge import AuditResult, Money

LISTED = 20


def text(result: AuditResult) -> str:
    """What ``make audit`` prints."""
    lines = [
        *_head(result),
        *_money(result),
        *_stock(result),
        *_orders(result),
        *_open(result),
        *_dead(result),
        *_set_aside(result),
        *_violations(result),
        "The audit is clean."
        if result.clean
        else f"The audit FAILED: {len(result.violations):,} violations.",
    ]
    return "\n".join(map(visible, lines))


def as_json(result: AuditResult) -> str:
    """All of it, lists in full."""
    content = {
        "clean": result.clean,
        "records": result.records,
        "accepted": result.accepted,
        "comparedWithGateway": result.gateway,
        "orders": result.orders,
        "money": {currency: asdict(money) for currency, money in result.money.items()},
        "stock": asdict(result.pieces),
        "open": [order._asdict() for order in result.open],
        "deadLettered": result.dead,
        "deadLetters": [letter._asdict() for letter in result.letters],
        "violations": [violation._asdict() for violation in result.violations],
        "setAside": result.skipped,
    }
    return visible_json(content)


def _head(result: AuditResult) -> Iterator[str]:
    judged = sum(result.orders.values())
    by_status = ", ".join(f"{count:,} {status}" for status, count in sorted(result.orders.items()))
    yield (
        f"Audit of {result.records:,} records: {judged:,} settled orders judged"
        f"{f' ({by_status})' if by_status else ''}, {len(result.open):,} open, {len(result.dead):,} dead-lettered."
    )


def _money(result: AuditResult) -> Iterator[str]:
    yield "1. Money, in minor units: charged − refunded = value of orders confirmed or completed"
    for currency, money in sorted(result.money.items()):
        yield f"   {currency}: {_equation(money)}"
        if result.gateway:
            charged, refunded = money.gateway_charged, money.gateway_refunded
            ahead = charged - refunded - (money.charged - money.refunded)
            more = f", {ahead:,} of it not in the topics" if ahead else ""
            yield f"   {currency} by the gateway's record: {charged:,} − {refunded:,} = {charged - refunded:,}{more}"
    if not result.money:
        yield "   nothing was charged"
    if not result.gateway:
        yield "   (not compared with the gateway's record)"


def _equation(money: Money) -> str:
    net, sides = money.charged - money.refunded, [f"{money.value:,}"]
    if money.open:
        sides.append(f"{money.open:,} for open orders")
    if money.dead:
        sides.append(f"{money.dead:,} for dead-lettered orders")
    equal = "=" if net == money.value + money.open + money.dead else "≠"
    return f"{money.charged:,} − {money.refunded:,} = {net:,} {equal} {' + '.join(sides)}"


def _stock(result: AuditResult) -> Iterator[str]:
    pieces = result.pieces
    gone, sides = pieces.adjusted - pieces.available, [f"{pieces.held:,} held", f"{pieces.shipped:,} shipped"]
    equal = "=" if gone == pieces.held + pieces.shipped else "≠"
    yield "2. Stock: initial + adjusted − available = held + shipped, per product; available never negative"
    yield (
        f"   {pieces.products:,} products: 0 + {pieces.adjusted:,} − {pieces.available:,} = {gone:,} "
        f"{equal} {' + '.join(sides)}"
    )
    if pieces.lowest < 0:
        yield f"   available went down to {pieces.lowest:,}"
    if pieces.held_open or pieces.held_dead:
        yield f"   of which {pieces.held_open:,} held for open orders, {pieces.held_dead:,} for dead-lettered ones"


def _orders(result: AuditResult) -> Iterator[str]:
    yield "3. Orders: one OrderCreated each, at most one settling event of each kind, legal transitions only"
    yield f"   {result.accepted:,} orders accepted"


def _open(result: AuditResult) -> Iterator[str]:
    if result.open:
        yield f"Open ({len(result.open):,}), not judged:"
    oldest = sorted(result.open, key=lambda order: -order.age)
    yield from (f"   {o.order}  {o.status:<10} {o.age:8.1f} s  {o.waits_for}" for o in oldest[:LISTED])
    yield from _more(len(oldest))


def _dead(result: AuditResult) -> Iterator[str]:
    if result.letters:
        yield f"Dead letters ({len(result.letters):,}), waiting for a person:"
    for letter in result.letters[:LISTED]:
        about = f"order {letter.order}" if letter.order else "no order that can be told"
        unsettled = ", not judged" if letter.order in result.dead else ""
        yield f"   {letter.place}  (from {letter.origin}) {about}{unsettled}: {letter.reason[:150]}"
    yield from _more(len(result.letters))


def _set_aside(result: AuditResult) -> Iterator[str]:
    if result.skipped:
        yield f"Records set aside ({len(result.skipped):,}), no part of anything:"
    yield from (f"   {place}" for place in result.skipped[:LISTED])
    yield from _more(len(result.skipped))


def _violations(result: AuditResult) -> Iterator[str]:
    if result.violations:
        yield f"Violations ({len(result.violations):,}):"
    for broken in result.violations[:LISTED]:
        yield f"   {broken.rule}: {broken.subject} at {broken.where}"
        yield f"      expected {broken.expected}"
        yield f"      found    {broken.found}"
    yield from _more(len(result.violations))


def _more(count: int) -> Iterator[str]:
    if count > LISTED:
        yield f"   ... and {count - LISTED:,} more (--json lists all)"
