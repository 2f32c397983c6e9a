"""Where ``eventbus tail`` begins and ends: offsets, times, ``beginning`` and ``end``, for each partition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eventbus.cli.ending import CommandError, Exit
from eventbus.cli.index import instant
from eventbus.cli.reader import TopicReader
from eventbus.model.places import Partition, whole_number

BEGINNING, END = "beginning", "end"


@dataclass(frozen=True)
class Start:
    """One place to begin. One of ``offset`` (negative: counted from the end) and ``time`` (ms since epoch) is set."""

    offset: int | None = None
    time: int | None = None

    @classmethod
    def parse(cls, text: str, now: int) -> Start:
        """``beginning``, ``end``, ``17``, ``-10`` (offsets before the end), ``2026-05-04T10:00``, ``15m``.

        Raises ValueError.
        """
        if text == BEGINNING:
            return cls(offset=0)
        if text == END:
            return cls(offset=None)
        if re.fullmatch(r"-[0-9]{1,18}", text):
            return cls(offset=int(text) or None)
        if text.isdigit():
            return cls(offset=whole_number(text))
        return cls(time=instant(text, now))

    def within(self, low: int, high: int) -> int:
        """The offset, if it is not that of a time: between the first and the one after the last."""
        if self.offset is None:
            return high
        return min(max(self.offset if self.offset >= 0 else high + self.offset, low), high)


@dataclass(frozen=True)
class Starts:
    """Where to begin: everywhere, or only in some partitions (then the others are not read)."""

    everywhere: Start | None = None
    partitions: dict[int, Start] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Sequence[str], now: int) -> Starts:
        """From the values of ``--from``. Raises CommandError."""
        everywhere, partitions = None, {}
        for text in texts:
            number, colon, rest = text.partition(":") if re.match(r"[0-9]+:", text) else ("", "", text)
            try:
                start = Start.parse(rest, now)
                if colon:
                    partitions[whole_number(number)] = start
                elif everywhere is None:
                    everywhere = start
                else:
                    raise CommandError(Exit.USAGE, "--from is given twice: once, or once for each partition.")
            except (ValueError, OverflowError) as error:
                raise CommandError(
                    Exit.USAGE,
                    f"--from {text} is no place: give beginning, end, an offset (17), offsets before the end (-10), "
                    "a time (2026-05-04T10:00 in UTC, or 15m, 2h, 1d ago), or one of these for a partition (3:17).",
                ) from error
        if everywhere is not None and partitions:
            raise CommandError(Exit.USAGE, "--from names partitions, or is for all of them: not both.")
        return cls(everywhere, partitions)

    def offsets(
        self, topics: TopicReader, partitions: Sequence[Partition], *, committed: bool
    ) -> dict[Partition, int]:
        """The offset to begin at, of each of these partitions that is to be read. Raises CommandError."""
        numbers = {partition.number for partition in partitions}
        if unread := sorted(set(self.partitions) - numbers):
            raise CommandError(
                Exit.USAGE,
                f"--from {unread[0]}:… names a partition that is not read: it reads {sorted(numbers)}.",
            )
        found = {}
        for partition in partitions:
            start = self.partitions.get(partition.number, self.everywhere)
            if start is not None:
                found[partition] = _offset(topics, partition, start, committed=committed)
        return found


def _offset(topics: TopicReader, partition: Partition, start: Start, *, committed: bool) -> int:
    low, high = topics.bounds(partition, committed=committed)
    if start.time is None:
        return start.within(low, high)
    since = topics.first_since([partition], start.time)[partition]
    return min(since, high) if since >= 0 else high


def ends(
    topics: TopicReader, partitions: Iterable[Partition], until: int | None, *, committed: bool
) -> dict[Partition, int]:
    """The offset at which each partition ends now, or has its first record of ``until`` (ms since epoch) or later."""
    found = {partition: topics.bounds(partition, committed=committed)[1] for partition in partitions}
    if until is not None:
        for partition, offset in topics.first_since(found, until).items():
            if offset >= 0:
                found[partition] = min(found[partition], offset)
    return found
