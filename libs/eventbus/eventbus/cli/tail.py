"""``eventbus tail``: the records of a topic, decoded; those that are there, or as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Annotated

import typer

from eventbus.cli.described import FAILED, Described, described
from eventbus.cli.ending import CommandError, Exit, flush, output
from eventbus.cli.options import Keys, moment
from eventbus.cli.reader import TopicReader
from eventbus.cli.record_reader import RecordReader
from eventbus.cli.session import settings_and_codec
from eventbus.cli.starts import BEGINNING, Starts, ends
from eventbus.kafka.records import partition_of
from eventbus.model.places import Partition
from eventbus.model.record import Raw
from eventbus.processing.ports import epoch_ms
from eventbus.visible import visible_json

LAST = "-10"
"""Where to begin if nothing is looked for: the last offsets of each partition."""
IDLE = 0.2
"""Seconds to wait for records before the next look at whether to go on."""


@dataclass(frozen=True)
class Wanted:
    """Which records are shown; empty and None mean: any."""

    keys: Sequence[str] = ()
    type: str | None = None

    def partitions(self, topic: str, count: int) -> list[Partition]:
        """The partitions in which such records can be. What failed may stand in another one than its key's."""
        if not self.keys or topic.endswith(FAILED):
            return [Partition(topic, number) for number in range(count)]
        numbers = {partition_of(key.encode("utf-8", "surrogateescape"), count) for key in self.keys}
        return [Partition(topic, number) for number in sorted(numbers)]

    def match(self, found: Described) -> bool:
        """Whether to show it."""
        return (not self.keys or found.key in self.keys) and (
            self.type is None or self.type.lower() in (found.type.lower(), found.schema.lower())
        )


def tail(
    topic: Annotated[str, typer.Argument(help="the topic, without its prefix")],
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="where to begin: beginning, end, an offset (17), offsets before the end (-10), a time "
            "(2026-05-04T10:00 in UTC, or 15m, 2h, 1d ago); for one partition: 3:17 (repeat for more) "
            f"(default: {LAST} in each partition; beginning, if something is looked for)",
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="up to this time; not with --follow")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on with what comes, until Ctrl-C")
    ] = False,
    key: Keys = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", help="message type, as in ce_type, or a version of it: OrderCreated.v1"),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="end after so many")] = None,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="also records of open and aborted transactions")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="print JSON, one object a line")] = False,
) -> None:
    """Show the records of a topic, decoded, those of a retry or dead letter topic too.

    A record that is no message is shown with the reason. With --key only the key's own partition is read (murmur2).
    """
    if until is not None and follow:
        raise CommandError(Exit.USAGE, "--until ends at a time, and --follow goes on: give one of them.")
    settings, codec = settings_and_codec()
    wanted, now, committed = Wanted(key or (), type_), epoch_ms(), not uncommitted
    looks = wanted != Wanted() or until is not None
    starts = Starts.parse(from_ or [BEGINNING if looks else LAST], now)
    end_time = None if until is None else moment("--until", until, now)
    topics = TopicReader(settings)
    partition_count = existing(topics, topic)
    begin = starts.offsets(topics, wanted.partitions(topic, partition_count), committed=committed)
    end = None if follow else ends(topics, begin, end_time, committed=committed)
    reader = RecordReader(settings, committed=committed)
    reader.assign(begin)
    records = coming(reader) if end is None else reader.before(end)
    with output():
        found = (described(codec, raw, partition_count) for raw in records)
        shown = print_all(filter(wanted.match, found), count, json=json)
    if looks and not shown:
        raise CommandError(Exit.NOTHING, f"No record of {topic} matches.")


def coming(reader: RecordReader) -> Iterator[Raw]:
    """What there is and what comes, for ever; what was printed of it is seen before the next wait."""
    while True:
        yield from reader.batch(IDLE)
        flush()


def print_all(found: Iterable[Described], count: int | None, *, json: bool) -> int:
    """Print a line for each, for ``count`` of them at most; returns how many."""
    shown = 0
    for one in islice(found, count):
        print_record(one, json=json)
        shown += 1
    return shown


def print_record(found: Described, *, json: bool) -> None:
    """Print one line: a JSON object, or for people."""
    print(visible_json(found.as_json(), indent=None) if json else found.line())


def existing(topics: TopicReader, topic: str) -> int:
    """How many partitions a topic has. Raises CommandError, which names similar topics, if there is none."""
    count = topics.partition_count(topic)
    if not count:
        near = get_close_matches(topic, topics.names(), 3, 0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise CommandError(
            Exit.USAGE, f"There is no topic {topic} at {topics.servers} (name it without its prefix).{hint}"
        )
    return count
