"""Counts what became of the invoices, and says so in words. No network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any, NamedTuple

from eventbus.visible import visible
from tools.arrivals import Settled, percentile
from tools.demo.invoices import Invoice, dirt
from tools.demo.posting import ACCEPTED, Answer

UNSETTLED = Settled("OPEN", nan)


class Speed(NamedTuple):
    """So many orders of so many items settled in that many seconds, from the first POST on."""

    orders: int
    items: int
    seconds: float


@dataclass
class Tally:
    """Answers by invoice number, and how the accepted orders settled, by order id."""

    invoices: Sequence[Invoice]
    answers: dict[str, Answer] = field(default_factory=dict)
    settled: Mapping[str, Settled] = field(default_factory=dict)

    def accepted(self) -> dict[str, str]:
        """Order id by invoice number."""
        return {
            number: str(answer.body.get("orderId"))
            for number, answer in self.answers.items()
            if answer.status == ACCEPTED
        }

    def open(self) -> list[str]:
        """Ids of accepted orders that have not settled as far as is known."""
        return [order for order in self.accepted().values() if order not in self.settled]

    def outcome(self, invoice: Invoice) -> str:
        """What an invoice came to, in words."""
        answer = self.answers.get(invoice.number)
        if answer is None:
            return "not answered"
        if answer.status != ACCEPTED:
            return f"{answer.status} {reason(answer.body)}"
        settled = self.settled.get(str(answer.body.get("orderId")), UNSETTLED)
        return f"{settled.status} {settled.why}".strip()

    def latencies(self) -> list[float]:
        """Seconds from the first POST of an order to reading that it settled, sorted; of orders heard settling."""
        accepted = self.accepted().items()
        return sorted(
            self.settled[order].at - self.answers[number].began
            for number, order in accepted
            if self._heard(order)
        )

    def _heard(self, order: str) -> bool:
        """Whether the order was heard settling: one that had settled before was only asked for."""
        return order in self.settled and not isnan(self.settled[order].at)

    def text(self) -> str:
        """The whole report."""
        return "\n".join(map(visible, [*self._counts(), *self._dirt(), *self._speed()]))

    def _counts(self) -> Iterator[str]:
        accepted = self.accepted()
        outcomes = Counter(self.outcome(invoice) for invoice in self.invoices)
        refused = sum(1 for answer in self.answers.values() if answer.status != ACCEPTED)
        yield f"{len(self.invoices):,} invoices: {len(accepted):,} accepted, {refused:,} refused"
        for outcome, count in outcomes.most_common():
            yield f"  {count:6,}  {outcome}"
        repeats = sum(answer.repeats for answer in self.answers.values())
        replayed = sum(answer.replayed for answer in self.answers.values())
        if repeats or replayed:
            yield f"  {repeats:,} requests were repeated; {replayed:,} orders were taken in before, by the same key"

    def _dirt(self) -> Iterator[str]:
        yield "What the dirt in the data got as an answer (an invoice may be in several rows)"
        by_kind: dict[str, Counter[str]] = {}
        for invoice in self.invoices:
            for kind in dirt(invoice):
                by_kind.setdefault(kind, Counter())[self.outcome(invoice)] += 1
        for kind, outcomes in sorted(by_kind.items(), key=lambda row: (row[0] == "clean", -row[1].total())):
            yield f"  {outcomes.total():6,}  {kind}"
            for outcome, count in outcomes.most_common():
                yield f"          {count:6,}  {outcome}"

    def speed(self) -> Speed | None:
        """How fast the orders settled that were heard settling; None if none was."""
        heard = {order: number for number, order in self.accepted().items() if self._heard(order)}
        if not heard:
            return None
        numbers = set(heard.values())
        lines = sum(len(invoice.lines) for invoice in self.invoices if invoice.number in numbers)
        began = min(answer.began for answer in self.answers.values())
        ended = max(self.settled[order].at for order in heard)
        return Speed(len(numbers), lines, max(ended - began, 1e-9))

    def _speed(self) -> Iterator[str]:
        speed = self.speed()
        if speed is None:
            yield "Speed: no order was heard settling"
            return
        yield (
            f"Speed: {speed.orders:,} orders of {speed.items:,} items settled in {speed.seconds:.1f} s: "
            f"{speed.orders / speed.seconds:,.0f} orders/s, {speed.items / speed.seconds:,.0f} items/s"
        )
        p50, p95, p99 = (percentile(self.latencies(), share) * 1000 for share in (0.50, 0.95, 0.99))
        yield f"From POST to settled: p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p99 {p99:,.0f} ms"


def reason(problem: Mapping[str, Any]) -> str:
    """Why a request was refused, without what differs from one invoice to the next: indexes and values."""
    errors = problem.get("errors")
    if isinstance(errors, list) and errors:
        text = f"{errors[0].get('field')}: {errors[0].get('message')}"
    else:
        text = str(problem.get("detail") or problem.get("title") or "no reason given")
    return re.sub(r",? ?got -?[0-9.]+", "", re.sub(r"\[[0-9]+\]", "[]", text))
