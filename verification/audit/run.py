"""One audit of a running system, from the first record to the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from eventbus.kafka.records import partition_of
from eventbus.model.errors import Poison
from eventbus.model.record import Raw
from eventbus.processing import skips
from tools.system import System
from tools.wiring import codec
from verification.audit.gateway import GatewayRecord
from verification.audit.judge import AuditResult, judge
from verification.audit.ledger import LETTERS, LISTENERS, WRITERS, Ledger
from verification.audit.parked import RETRIES
from verification.audit.reading import AuditReader

PAUSE = 0.5


def audit(
    system: System,
    *,
    wait: float = 30.0,
    with_gateway: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> AuditResult:
    """Read everything, wait up to ``wait`` seconds for what is under way to end, and judge.

    The wait ends once every order that was on its way at the first cut is quiet, so a system that never rests is
    audited too: what came later is listed as open. Raises KafkaAway and GatewayAway.
    """
    topics = AuditReader(system.kafka)
    try:
        count = topics.counts["order.events"]
        ledger = Ledger(codec(), lambda key: partition_of(key, count))
        gateway = GatewayRecord(system.gateway) if with_gateway else None
        deadline = time.monotonic() + wait
        under_way: set[str] | None = None
        while True:
            sure_until = _cut(topics, ledger, gateway)
            waiting = set(ledger.waiting())
            under_way = waiting if under_way is None else under_way & waiting
            if not under_way or time.monotonic() > deadline:
                break
            say(f"{len(under_way):,} orders are on their way; waiting for them to end ...")
            time.sleep(PAUSE)
        if gateway:
            gateway.read()
        return judge(ledger, gateway, sure_until, time.time_ns() // 1_000_000)
    finally:
        topics.close()


def _cut(topics: AuditReader, ledger: Ledger, gateway: GatewayRecord | None) -> int:
    """Read up to one cut; returns how much of the gateway's record was there before it."""
    if gateway:
        gateway.read()
    topics.read(topics.ends((skips.TOPIC,)), lambda raw: _skip(ledger, raw))
    ledger.advance(topics.frontier())
    topics.read(topics.ends(RETRIES), ledger.take)
    topics.read(topics.ends({*LISTENERS, *WRITERS, *LETTERS}), ledger.take)
    return gateway.last if gateway else 0


def _skip(ledger: Ledger, raw: Raw) -> None:
    """Take what an operator has set aside; ignore every other record of that topic."""
    with suppress(Poison):
        ledger.skips.take(raw)
