"""One question for the causes of a key, and its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eventbus.causes.kcat import kcat_line
from eventbus.causes.search import Budget, Search
from eventbus.causes.source import Source
from eventbus.causes.spans import Span
from eventbus.causes.topics import TopicSource
from eventbus.causes.tree import Node, deadline_of, tree
from eventbus.codec import Codec
from eventbus.headers import rfc3339
from eventbus.model.record import Raw
from eventbus.settings import Settings
from eventbus.wire_format import DATASCHEMA

AROUND = 2_000
"""Ms around a known moment of a key in which its records are read."""


@dataclass(frozen=True)
class Question:
    """Which records led to which, of everything that has to do with one key.

    ``spans`` are the times of which records of the key are read, ms since epoch; what followed from them is found
    whenever it came.
    """

    key: str
    spans: Sequence[Span]
    now: int

    @classmethod
    def around(cls, key: str, moments: Iterable[int], now: int) -> Question:
        """For a key of which it is known when all happened that is decided (ms since epoch)."""
        return cls(key, [Span(max(at - AROUND, 0), min(at + AROUND, now)) for at in (*moments, now)], now)


@dataclass(frozen=True)
class Why:
    """The causal tree of a key."""

    key: str
    nodes: Sequence[Node]
    """Each after its cause."""
    read: int
    """How many records were read for it."""
    why_not_all: str
    """Why more may have happened than is here; empty if that is all."""
    topics: dict[str, int]
    """How many partitions each topic has."""

    def rows(self, settings: Settings) -> Iterator[dict[str, Any]]:
        """The nodes as JSON; the lines for kcat name the brokers of ``why_brokers``."""
        servers = settings.why_brokers or settings.bootstrap_servers
        return (self._row(node, settings, servers) for node in self.nodes)

    def _row(self, node: Node, settings: Settings, servers: str) -> dict[str, Any]:
        link, (topic, partition, offset) = node.link, node.link.position
        deadline = deadline_of(link, self.topics)
        row: dict[str, Any] = {
            "depth": node.depth,
            "type": link.type or None,
            "time": rfc3339(link.time),
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "service": link.service or None,
            "key": link.key.decode("utf-8", "backslashreplace"),
            "cause": str(link.cause) if link.cause and deadline is None else None,
            "kcat": kcat_line(servers, settings.topic(topic), link.position),
        }
        if deadline is not None:
            row["deadline"] = rfc3339(deadline)
        if failure := link.failure:
            row["failed"] = {
                "state": failure.state,
                "attempts": failure.attempts,
                "due": rfc3339(failure.due) if failure.due else None,
                "error": failure.error or None,
            }
        if node.waits_for:
            row["waitsFor"] = list(node.waits_for)
        if node.problem:
            row["problem"] = node.problem
        return row


def why(settings: Settings, codec: Codec, question: Question, seconds: float, budget: Budget) -> Why:
    """Read the topics and answer, within a time limit and a budget. Blocks. Raises Unavailable if Kafka is away."""
    with TopicSource(settings, seconds) as source:
        return answered(source, codec, question, budget)


def answered(source: Source, codec: Codec, question: Question, budget: Budget) -> Why:
    """The answer to a question from these topics."""

    def name_of(raw: Raw) -> str:
        return codec.name_of(raw.value, raw.header(DATASCHEMA))

    found = Search(source, question.key.encode("utf-8", "surrogateescape"), name_of, question.now, budget)
    result = found.run(question.spans)
    topics = dict(source.topics())
    return Why(question.key, tree(result, topics), result.read, result.why_not_all, topics)
