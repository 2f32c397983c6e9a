"""What came of a run, as one table. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isnan

from eventbus.visible import visible
from tools.arrivals import percentile
from tools.audit.judge import Verdict
from tools.chaos.books import Books
from tools.chaos.faults import Harm
from tools.chaos.schedule import is_near
from tools.chaos.shopping import Sales

LISTED = 10


@dataclass
class Outcome:
    """Everything a run is judged by. ``doubles`` are the gateway's own: orders charged or refunded twice."""

    heading: str
    sales: Sales
    harm: Harm
    books: Books
    verdict: Verdict
    doubles: list[str]
    restarts: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def accepted(self) -> set[str]:
        return {placed.order for placed in self.sales.placed}

    @property
    def lost(self) -> list[str]:
        return self.books.lost(self.accepted)

    @property
    def doubled(self) -> list[str]:
        return sorted({*self.books.doubled(), *self.doubles})

    @property
    def stuck(self) -> list[str]:
        return sorted({*self.books.stuck(), *(order.order for order in self.verdict.open)})

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or stuck, and the audit finds nothing."""
        return not (self.lost or self.doubled or self.stuck) and self.verdict.clean


def table(outcome: Outcome) -> str:
    """The whole of it for people."""
    sales, harm = outcome.sales, outcome.harm
    spent = max(sales.ended - sales.began, 0.001)
    refused = [(status, n) for status, n in sales.answers.most_common() if status != "202"]
    several = sum(1 for placed in sales.placed if placed.items > 1)
    keyed = sum(1 for placed in sales.placed if placed.keyed)
    posted = sales.answers.total()
    wishes = ", ".join(f"{n:,} {wish}" for wish, n in sorted(sales.wishes.items()))
    lines = [
        outcome.heading,
        _row("posted", f"{posted:,} ({posted / spent:.1f}/s)"),
        _row("not accepted", _counts(refused) or "none"),
        _row("accepted", f"{len(outcome.accepted):,} ({several:,} of several items, {keyed:,} with a key)"),
        _row("settled", _counts(sorted(outcome.verdict.orders.items()))),
        _row("of FAILED", _counts(_why(sales)) or "-"),
        _row("wishes", wishes or "none"),
        _row("deliveries", f"{sales.restocked:,}"),
        _row("lost", _named(outcome.lost)),
        _row("doubled", _named(outcome.doubled)),
        _row("stuck", _named(outcome.stuck)),
        _row("dead letters", _letters(outcome.verdict)),
        _row(
            "audit", "clean" if outcome.verdict.clean else f"{len(outcome.verdict.violations):,} violations"
        ),
        _row("faults", f"{harm.count}: {_faults(harm)}"),
        *([_row("left out", _counts(harm.left_out.items()))] if harm.left_out else []),
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


def _why(sales: Sales) -> list[tuple[str, int]]:
    return Counter(s.why for s in sales.settled.values() if s.status == "FAILED").most_common(6)


def _letters(verdict: Verdict) -> str:
    """How many messages wait for a person, and for how many of them the order has come to its end all the same."""
    if not verdict.letters:
        return "0"
    by_service = Counter(letter.service for letter in verdict.letters)
    excused = f"; {len(verdict.dead):,} orders wait for them" if verdict.dead else "; no order waits for one"
    return f"{len(verdict.letters):,} ({_counts(sorted(by_service.items()))}){excused}"


def _faults(harm: Harm) -> str:
    kinds: Counter[str] = Counter()
    for (kind, target), count in harm.done.items():
        kinds[f"{kind} {target.rpartition('-')[0] or target}"] += count
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))


def _restarts(ends: Counter[tuple[str, int]]) -> list[tuple[str, int]]:
    """Exits that were no fault of the schedule's: statuses other than that of SIGKILL."""
    return [(f"{name} with {status}", n) for (name, status), n in sorted(ends.items()) if status != -9]


def _latencies(outcome: Outcome) -> Iterator[str]:
    sales, spans = outcome.sales, outcome.harm.spans
    yield f"  {'ms':<34}{'orders':>8}{'p50':>10}{'p99':>10}{'max':>10}"
    for name, near in (("without faults", False), ("near a fault", True)):
        some = [placed for placed in sales.placed if is_near(placed.sent, spans) is near]
        answered = [placed.answered - placed.sent for placed in some]
        settled = [sales.settled[p.order].at - p.sent for p in some if p.order in sales.settled]
        yield _percentiles(f"POST to answer, {name}", answered)
        yield _percentiles(f"POST to settled, {name}", settled)


def _percentiles(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    cells = [percentile(ordered, share) * 1000 for share in (0.5, 0.99, 1.0)]
    shown = "".join(f"{'-' if isnan(cell) else format(cell, ',.0f'):>10}" for cell in cells)
    return f"  {name:<34}{len(ordered):>8,}{shown}"
