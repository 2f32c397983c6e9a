"""Times of which a partition is read: what is wanted, less what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """From one time to another, both included, in ms since epoch."""

    since: int
    until: int


class Spans:
    """Times without an order and without an overlap: those nearer than ``gap`` ms are one."""

    def __init__(self, spans: Iterable[Span] = (), gap: int = 0) -> None:
        self._gap = gap
        self._spans: list[Span] = []
        for span in sorted(spans):
            last = self._spans[-1] if self._spans else None
            if last is not None and span.since <= last.until + 1 + gap:
                self._spans[-1] = Span(last.since, max(last.until, span.until))
            else:
                self._spans.append(span)

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def and_(self, more: Iterable[Span]) -> Spans:
        """These and others."""
        return Spans([*self._spans, *more], self._gap)

    def without(self, others: Iterable[Span]) -> Spans:
        """What is in none of the others."""
        left = list(self._spans)
        for other in others:
            left = [piece for span in left for piece in _cut(span, other)]
        return Spans(left, 0)


def _cut(span: Span, other: Span) -> Iterator[Span]:
    if other.until < span.since or other.since > span.until:
        yield span
        return
    if span.since < other.since:
        yield Span(span.since, other.since - 1)
    if other.until < span.until:
        yield Span(other.until + 1, span.until)
