"""The result of a run, as one table. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isnan, nan

from eventbus.visible import visible
from tools.arrivals import percentile
from verification.audit.findings import DeadLetter
from verification.audit.judge import AuditResult
from verification.chaos.faults import FaultLog, LandedFault
from verification.chaos.hostile_bursts import HostileResult
from verification.chaos.order_ends import OrderEnds
from verification.chaos.order_load import LoadResult
from verification.chaos.rolling_upgrade import UpgradeResult
from verification.chaos.schedule import KINDS, is_near, missing
from verification.trees import Release

LISTED = 10


@dataclass
class ChaosResult:
    """Everything that decides on a run. ``doubles``: orders that the gateway itself has charged or refunded twice."""

    heading: str
    load: LoadResult
    fault_log: FaultLog
    order_ends: OrderEnds
    verdict: AuditResult
    doubles: list[str]
    restarts: Counter[tuple[str, int]] = field(default_factory=Counter)
    hostile: HostileResult = field(default_factory=HostileResult)
    upgrade: UpgradeResult = field(default_factory=UpgradeResult)

    @property
    def accepted(self) -> set[str]:
        return {placed.order for placed in self.load.placed}

    @property
    def lost(self) -> list[str]:
        return self.order_ends.lost(self.accepted)

    @property
    def doubled(self) -> list[str]:
        return sorted({*self.order_ends.doubled(), *self.doubles})

    @property
    def stuck(self) -> list[str]:
        return sorted({*self.order_ends.stuck(), *(order.order for order in self.verdict.open)})

    @property
    def letters(self) -> list[DeadLetter]:
        """Dead letters that wait for a person; not those of hostile records, which belong there."""
        wrote = self.hostile.wrote
        return [one for one in self.verdict.letters if not (wrote(one.origin) or wrote(one.place))]

    @property
    def waiting(self) -> list[str]:
        """Orders that lack something, which one of these dead letters explains."""
        return sorted({letter.order for letter in self.letters} & self.verdict.dead.keys())

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or stuck, no order waits for a person, the audit finds nothing, and every
        replica was upgraded."""
        wrong = self.lost or self.doubled or self.stuck or self.waiting
        return not wrong and self.verdict.clean and self.upgrade.whole


def table(outcome: ChaosResult) -> str:
    """The whole result, for people."""
    load = outcome.load
    spent = max(load.ended - load.began, 0.001)
    refused = [(status, n) for status, n in load.answers.most_common() if status != "202"]
    several = sum(1 for placed in load.placed if placed.items > 1)
    keyed = sum(1 for placed in load.placed if placed.keyed)
    posted = load.answers.total()
    follow_ups = ", ".join(f"{n:,} {follow_up}" for follow_up, n in sorted(load.follow_ups.items()))
    lines = [
        outcome.heading,
        _row("posted", f"{posted:,} ({posted / spent:.1f}/s)"),
        _row("not accepted", _counts(refused) or "none"),
        _row("accepted", f"{len(outcome.accepted):,} ({several:,} of several items, {keyed:,} with a key)"),
        _row("settled", _counts(sorted(outcome.verdict.orders.items()))),
        _row("of FAILED", _counts(_why(load)) or "-"),
        _row("follow-ups", follow_ups or "none"),
        _row("deliveries", f"{load.restocked:,}"),
        _row("lost", _named(outcome.lost)),
        _row("doubled", _named(outcome.doubled)),
        _row("stuck", _named(outcome.stuck)),
        _row("dead letters", _letters(outcome)),
        _row(
            "audit", "clean" if outcome.verdict.clean else f"{len(outcome.verdict.violations):,} violations"
        ),
        _row("hostile records", _hostile(outcome)),
        _row("upgrade", f"{_upgrade(outcome.upgrade)}; {outcome.order_ends.newer:,} events in new versions"),
        *_faults(outcome),
        _row("ended by itself", _counts(_restarts(outcome.restarts)) or "none"),
        *_latencies(outcome),
        "Nothing lost, doubled or stuck; the audit is clean." if outcome.clean else "FAILED: see above.",
    ]
    return "\n".join(map(visible, lines))


def _row(name: str, text: str) -> str:
    return f"  {name:<16}{text}"


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts)


def _named(orders: list[str]) -> str:
    shown = ", ".join(orders[:LISTED]) + (" ..." if len(orders) > LISTED else "")
    return f"{len(orders):,}" + (f": {shown}" if orders else "")


def _why(load: LoadResult) -> list[tuple[str, int]]:
    return Counter(s.why for s in load.settled.values() if s.status == "FAILED").most_common(6)


def _letters(outcome: ChaosResult) -> str:
    """How many messages wait for a person, and how many orders for one of them."""
    if not outcome.letters:
        return "0"
    by_service = Counter(letter.service for letter in outcome.letters)
    waiting = f"{_named(outcome.waiting)} wait for them" if outcome.waiting else "no order waits for one"
    return f"{len(outcome.letters):,} ({_counts(sorted(by_service.items()))}); {waiting}"


def _hostile(outcome: ChaosResult) -> str:
    """How many were written, and what each led to."""
    hostile = outcome.hostile
    if not hostile.written and not hostile.refused:
        return "none"
    refused = f", {hostile.refused:,} not taken by Kafka" if hostile.refused else ""
    named = f"; the audit named {len(hostile.named):,}, which were set aside" if hostile.named else ""
    return (
        f"{len(hostile.written):,} written{refused}: {_counts(sorted(hostile.consequences.items()))}{named}"
    )


def _upgrade(upgrade: UpgradeResult) -> str:
    """How many replicas took each step, and how long all of it took."""
    steps = ", ".join(f"{len(upgrade.moved.get(step, []))} replicas {step}" for step in Release._fields)
    failure = f"; FAILED: {upgrade.failure}" if upgrade.failure else ""
    return f"{steps}, in {max(0.0, upgrade.ended - upgrade.began):.0f} s{failure}"


def _faults(outcome: ChaosResult) -> Iterator[str]:
    """Each kind of fault, how often it landed, and how soon after its end an order was confirmed."""
    fault_log = outcome.fault_log
    yield f"  {'faults':<16}{'landed':>8}{'left out':>10}{'s to the next confirmation':>28}{'longest':>10}"
    for kind in KINDS:
        done, left_out = fault_log.of(kind), fault_log.left_out[kind]
        waits = sorted(_until_confirmed(outcome.load, one) for one in done)
        cells = [percentile(waits, share) for share in (0.5, 1.0)]
        shown = ["-" if isnan(cell) else f"{cell:.1f}" for cell in cells]
        yield f"  {kind!s:<16}{len(done):>8}{left_out:>10}{shown[0]:>28}{shown[1]:>10}"
    if never := missing(one.kind for one in fault_log.done):
        names = ", ".join(map(str, never))
        yield _row("never landed", f"{names}: the run was too short, or the brokers were never in sync")


def _until_confirmed(load: LoadResult, done: LandedFault) -> float:
    """Seconds from a fault's end to the first confirmation; NaN if none came."""
    after = [
        s.at - done.ended for s in load.settled.values() if s.status == "CONFIRMED" and s.at >= done.ended
    ]
    return min(after, default=nan)


def _restarts(ends: Counter[tuple[str, int]]) -> list[tuple[str, int]]:
    """Exits that the schedule did not cause: every status except that of SIGKILL."""
    return [(f"{name} with {status}", n) for (name, status), n in sorted(ends.items()) if status != -9]


def _latencies(outcome: ChaosResult) -> Iterator[str]:
    load, spans = outcome.load, outcome.fault_log.spans
    yield f"  {'ms':<34}{'orders':>8}{'p50':>10}{'p99':>10}{'max':>10}"
    for name, near in (("without faults", False), ("near a fault", True)):
        some = [placed for placed in load.placed if is_near(placed.sent, spans) is near]
        answered = [placed.answered - placed.sent for placed in some]
        settled = [load.settled[p.order].at - p.sent for p in some if p.order in load.settled]
        yield _percentiles(f"POST to answer, {name}", answered)
        yield _percentiles(f"POST to settled, {name}", settled)


def _percentiles(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    cells = [percentile(ordered, share) * 1000 for share in (0.5, 0.99, 1.0)]
    shown = "".join(f"{'-' if isnan(cell) else format(cell, ',.0f'):>10}" for cell in cells)
    return f"  {name:<34}{len(ordered):>8,}{shown}"
