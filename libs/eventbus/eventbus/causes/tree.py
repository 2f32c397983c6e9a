"""Puts what a search has found in the order of a tree, and says what does not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from eventbus.causes.links import Link
from eventbus.causes.search import Found
from eventbus.kafka.records import partition_of
from eventbus.model.places import Position

DEADLINE = ".deadline"
"""How the name of the input ends that a deadline is: no topic, but the time in place of an offset."""


class Node(NamedTuple):
    """One record in the tree. Those that it led to follow it, one deeper."""

    link: Link
    depth: int
    waits_for: tuple[str, ...]
    """The services that read its topic and have not decided it yet."""
    problem: str
    """What is wrong with what it says of itself; empty if nothing is."""


def tree(found: Found, topics: Mapping[str, int]) -> list[Node]:
    """All records, each after its cause, those of one cause by their times; ``topics``: how many partitions each has.

    A record without a cause here begins a tree of its own. Of records that name each other as causes the earliest
    does.
    """
    links = found.above | found.links
    parents = {position: _parent(link, links) for position, link in links.items()}
    effects: defaultdict[Position, list[Link]] = defaultdict(list)
    for position, parent in parents.items():
        if parent is not None:
            effects[parent].append(links[position])
    nodes: dict[Position, Node] = {}
    roots = [links[position] for position, parent in parents.items() if parent is None]
    for root in (*sorted(roots, key=_when), *sorted(links.values(), key=_when)):
        for link, depth in _below(root, effects, nodes):
            problem = _problem(link, links, topics)
            nodes[link.position] = Node(link, depth, found.waits_for.get(link.position, ()), problem)
    return list(nodes.values())


def _parent(link: Link, links: Mapping[Position, Link]) -> Position | None:
    """The record below which this one stands. None stands at its own place, or at a later one of its partition."""
    cause = link.cause
    if cause is None or cause not in links:
        return None
    after_it = cause[:2] == link.position[:2] and cause.offset >= link.position.offset
    return None if after_it else cause


def _below(
    root: Link, effects: Mapping[Position, Iterable[Link]], done: Mapping[Position, Node]
) -> Iterator[tuple[Link, int]]:
    """A record and all below it, each with its depth. ``done`` grows meanwhile: so a circle ends."""
    stack = [(root, 0)]
    while stack:
        link, depth = stack.pop()
        if link.position in done:
            continue
        yield link, depth
        below = sorted(effects.get(link.position, ()), key=_when, reverse=True)
        stack += [(effect, depth + 1) for effect in below]


def _when(link: Link) -> tuple[int, int, Position]:
    return link.written, link.time, link.position


def _problem(link: Link, links: Mapping[Position, Link], topics: Mapping[str, int]) -> str:
    found = [link.flaw, _misplaced(link, topics)]
    if link.failure is None:
        found.append(_contradiction(link, links, topics))
    elif link.cause not in links:
        found.append(f"{link.says}, which it is about, is not there: deleted, or it never was")
    return "; ".join(filter(None, found))


def _misplaced(link: Link, topics: Mapping[str, int]) -> str:
    count = topics.get(link.position.topic, 0)
    if link.failure is not None or not link.key or not count:
        return ""
    right = partition_of(link.key, count)
    return "" if right == link.position.partition else f"its key belongs to partition {right} (murmur2)"


def _contradiction(link: Link, links: Mapping[Position, Link], topics: Mapping[str, int]) -> str:
    """What a record says of its cause that the cause does not bear out."""
    if not link.says:
        return ""
    if link.cause is None:
        return f"it names {link.says[:100]!r} as its cause, which is no place"
    if link.cause.topic.endswith(DEADLINE) and link.cause.topic not in topics:
        return ""
    if link.cause not in links:
        return f"its cause {link.says} is not there: deleted, or it never was"
    if _parent(link, links) is None:
        return f"it names {link.says} as its cause, which does not stand before it"
    cause = links[link.cause]
    if link.causation and link.causation != cause.id and link.causation != cause.position.__str__():
        return f"it names {link.causation[:100]!r} as the id of its cause, which has {cause.id[:100]!r}"
    if link.correlation != cause.correlation and cause.failure is None:
        return "its correlation id is not that of its cause"
    return ""


def deadline_of(link: Link, topics: Mapping[str, int]) -> int | None:
    """Ms since epoch of the deadline that led to a record; None if none did."""
    if link.cause and link.cause.topic.endswith(DEADLINE) and link.cause.topic not in topics:
        return link.cause.offset
    return None
