"""Where, and of which times, records may stand that one record led to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from eventbus.causes.links import LETTERS, RETRY, SKIPS, Link
from eventbus.causes.spans import Span, Spans
from eventbus.kafka.records import partition_of
from eventbus.model.places import Partition

BESIDE = 1_000
"""Ms around an output in which the other outputs of the same decision stand: they are written one after the other."""
ASKED_FOR = 5_000
"""Ms around the record of an operator's wish in which that wish, and what it led to, stand."""
AFTER = 2_000
"""Ms in which the answers to a record are looked for at first."""
FURTHER = 16
"""How many times as long they are looked for next, while a service has neither answered nor gone past it."""
GAP = 2_000
"""Ms: shorter pauses are read over, since to begin anew costs more."""
TICK = 100
"""Ms: records of the same tick ask for the same times."""


class Demand:
    """Collects what is to be read. ``now``: ms since epoch, the end of all that is asked about."""

    def __init__(self, topics: Mapping[str, int], now: int) -> None:
        self._topics, self._now = topics, now
        self._spans: defaultdict[Partition, set[Span]] = defaultdict(set)
        self._seen: set[tuple[object, ...]] = set()
        self._covered: dict[Partition, Spans] = {}
        self._failing = [topic for topic in topics if topic.endswith((RETRY, LETTERS))]

    def everywhere(self, key: bytes, spans: Iterable[Span]) -> None:
        """Records of a key. One that failed may stand in another partition than its key's: that may be the reason."""
        self.of_key(key, spans := list(spans))
        for topic in self._failing:
            for number in range(self._topics[topic]):
                self._spans[Partition(topic, number)].update(spans)

    def of_key(self, key: bytes, spans: Iterable[Span]) -> None:
        """Records of a key: in its partition of every topic."""
        spans = [span for span in spans if span.since <= span.until]
        for topic, count in self._topics.items():
            self._spans[Partition(topic, partition_of(key, count))].update(spans)

    def of_failures(self, link: Link) -> None:
        """What became of a message that failed: in its own partition, however long that took."""
        since = _tick(link.written) - BESIDE
        if self._is_new("failures", link.position.partition, since):
            for topic in self._failing:
                if link.position.partition < self._topics[topic]:
                    self._spans[Partition(topic, link.position.partition)].add(Span(max(since, 0), self._now))
        if SKIPS in self._topics and self._is_new("skips"):
            self._spans[Partition(SKIPS, 0)].add(Span(0, self._now))

    def of_answers(self, link: Link, reach: int) -> None:
        """Records of the same key that came within ``reach`` ms."""
        at = _tick(link.written)
        if self._is_new("answers", link.key, at, reach):
            self.of_key(link.key, [self._around(at, BESIDE, reach)])

    def beside(self, link: Link, around: int = BESIDE) -> None:
        """Records that were written with this one: they may have any key."""
        at = _tick(link.written)
        if self._is_new("beside", at, around):
            for topic, count in self._topics.items():
                for number in range(count):
                    self._spans[Partition(topic, number)].add(self._around(at, around, around))

    def _around(self, at: int, before: int, after: int) -> Span:
        return Span(max(at - before, 0), min(at + TICK + after, self._now))

    def passes(self) -> Iterable[Mapping[Partition, Span]]:
        """What is to be read and was not yet, one span of each partition at a time. It counts as read from now on."""
        todo = {}
        for partition, spans in self._spans.items():
            covered = self._covered.get(partition, Spans())
            if left := list(Spans(spans, GAP).without(covered)):
                todo[partition] = left
                self._covered[partition] = covered.and_(left)
        self._spans.clear()
        while todo:
            yield {partition: spans[0] for partition, spans in todo.items()}
            todo = {partition: spans[1:] for partition, spans in todo.items() if spans[1:]}

    def forget(self) -> None:
        """Nothing counts as read: what is looked for has changed."""
        self._covered.clear()
        self._seen.clear()

    def _is_new(self, *what: object) -> bool:
        if what in self._seen:
            return False
        self._seen.add(what)
        return True


def _tick(millis: int) -> int:
    return millis - millis % TICK
