"""The verdict in words, for people, and as JSON; what records hold is made visible in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from eventbus.visible import visible, visible_json
from verification.audit.judge import Money, Verdict

LISTED = 20


def text(verdict: Verdict) -> str:
    """What ``make audit`` prints."""
    lines = [
        *_head(verdict),
        *_money(verdict),
        *_stock(verdict),
        *_orders(verdict),
        *_open(verdict),
        *_dead(verdict),
        *_set_aside(verdict),
        *_violations(verdict),
        "The audit is clean."
        if verdict.clean
        else f"The audit FAILED: {len(verdict.violations):,} violations.",
    ]
    return "\n".join(map(visible, lines))


def as_json(verdict: Verdict) -> str:
    """All of it, lists in full."""
    told = {
        "clean": verdict.clean,
        "records": verdict.records,
        "accepted": verdict.accepted,
        "comparedWithGateway": verdict.gateway,
        "orders": verdict.orders,
        "money": {currency: asdict(money) for currency, money in verdict.money.items()},
        "stock": asdict(verdict.pieces),
        "open": [order._asdict() for order in verdict.open],
        "deadLettered": verdict.dead,
        "deadLetters": [letter._asdict() for letter in verdict.letters],
        "violations": [violation._asdict() for violation in verdict.violations],
        "setAside": verdict.skipped,
    }
    return visible_json(told)


def _head(verdict: Verdict) -> Iterator[str]:
    judged = sum(verdict.orders.values())
    by_status = ", ".join(f"{count:,} {status}" for status, count in sorted(verdict.orders.items()))
    yield (
        f"Audit of {verdict.records:,} records: {judged:,} settled orders judged"
        f"{f' ({by_status})' if by_status else ''}, {len(verdict.open):,} open, {len(verdict.dead):,} dead-lettered."
    )


def _money(verdict: Verdict) -> Iterator[str]:
    yield "1. Money, in minor units: charged − refunded = value of orders confirmed or completed"
    for currency, money in sorted(verdict.money.items()):
        yield f"   {currency}: {_equation(money)}"
        if verdict.gateway:
            charged, refunded = money.gateway_charged, money.gateway_refunded
            ahead = charged - refunded - (money.charged - money.refunded)
            more = f", {ahead:,} of it not in the topics" if ahead else ""
            yield f"   {currency} by the gateway's record: {charged:,} − {refunded:,} = {charged - refunded:,}{more}"
    if not verdict.money:
        yield "   nothing was charged"
    if not verdict.gateway:
        yield "   (not compared with the gateway's record)"


def _equation(money: Money) -> str:
    net, sides = money.charged - money.refunded, [f"{money.value:,}"]
    if money.open:
        sides.append(f"{money.open:,} for open orders")
    if money.dead:
        sides.append(f"{money.dead:,} for dead-lettered orders")
    equal = "=" if net == money.value + money.open + money.dead else "≠"
    return f"{money.charged:,} − {money.refunded:,} = {net:,} {equal} {' + '.join(sides)}"


def _stock(verdict: Verdict) -> Iterator[str]:
    pieces = verdict.pieces
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


def _orders(verdict: Verdict) -> Iterator[str]:
    yield "3. Orders: one OrderCreated each, at most one settling event of each kind, legal transitions only"
    yield f"   {verdict.accepted:,} orders accepted"


def _open(verdict: Verdict) -> Iterator[str]:
    if verdict.open:
        yield f"Open ({len(verdict.open):,}), not judged:"
    oldest = sorted(verdict.open, key=lambda order: -order.age)
    yield from (f"   {o.order}  {o.status:<10} {o.age:8.1f} s  {o.waits_for}" for o in oldest[:LISTED])
    yield from _more(len(oldest))


def _dead(verdict: Verdict) -> Iterator[str]:
    if verdict.letters:
        yield f"Dead letters ({len(verdict.letters):,}), waiting for a person:"
    for letter in verdict.letters[:LISTED]:
        about = f"order {letter.order}" if letter.order else "no order that can be told"
        unsettled = ", not judged" if letter.order in verdict.dead else ""
        yield f"   {letter.place}  (from {letter.origin}) {about}{unsettled}: {letter.reason[:150]}"
    yield from _more(len(verdict.letters))


def _set_aside(verdict: Verdict) -> Iterator[str]:
    if verdict.skipped:
        yield f"Records set aside ({len(verdict.skipped):,}), no part of anything:"
    yield from (f"   {place}" for place in verdict.skipped[:LISTED])
    yield from _more(len(verdict.skipped))


def _violations(verdict: Verdict) -> Iterator[str]:
    if verdict.violations:
        yield f"Violations ({len(verdict.violations):,}):"
    for broken in verdict.violations[:LISTED]:
        yield f"   {broken.rule}: {broken.subject} at {broken.where}"
        yield f"      expected {broken.expected}"
        yield f"      found    {broken.found}"
    yield from _more(len(verdict.violations))


def _more(count: int) -> Iterator[str]:
    if count > LISTED:
        yield f"   ... and {count - LISTED:,} more (--json lists all)"
