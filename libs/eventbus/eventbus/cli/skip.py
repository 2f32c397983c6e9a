"""``eventbus skip``: set one record aside, so that nothing is folded from it and nobody decides it."""

from __future__ import annotations

import time

from eventbus.admin import Skip
from eventbus.cli.ending import CommandError, Exit, ask
from eventbus.cli.printing import console, say
from eventbus.cli.reader import TopicReader
from eventbus.codec import Codec
from eventbus.headers import headers_of, rfc3339
from eventbus.model.errors import Poison
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.model.record import Raw
from eventbus.processing.skips import PARTITION, TOPIC


def skip(topics: TopicReader, codec: Codec, place: Position, reason: str, *, undo: bool, sure: bool) -> None:
    """Put it on record that the record at ``place`` is skipped, or (``undo``) not any more. Raises Trouble."""
    _require(topics, place)
    _show(codec, place, topics.record(place))
    if not sure:
        ask(f"{'Fold' if undo else 'Skip'} {place} {'again' if undo else 'in every replica, for ever'}?")
    put_on_record(topics, codec, place, reason, undo=undo)
    what = "is skipped no more" if undo else "is skipped from now on"
    print(
        f"{place} {what}. A replica that has folded it already ends, and its successor folds the partition anew."
    )


def put_on_record(topics: TopicReader, codec: Codec, place: Position, reason: str, *, undo: bool) -> None:
    """Write the skip, or that there is none any more; returns once that is durable."""
    key, now = str(place).encode(), time.time_ns() // 1_000_000
    if undo:
        topics.write(TOPIC, PARTITION, key, None, [])
    else:
        wish = Skip(record=str(place), reason=reason, timestamp=now)
        envelope = Envelope.from_outside(wish, TOPIC, PARTITION, time=now, source="/eventbus/skip")
        topics.write(TOPIC, PARTITION, key, codec.encode(wish), headers_of(envelope))


def _require(topics: TopicReader, place: Position) -> None:
    if not topics.partitions(TOPIC):
        raise CommandError(
            Exit.AWAY, f"There is no topic {TOPIC}: run `eventbus topics create`, then repeat."
        )
    count = topics.partitions(place.topic)
    if not count:
        raise CommandError(Exit.USAGE, f"There is no topic {place.topic} (name it without its prefix).")
    if place.partition >= count:
        raise CommandError(Exit.USAGE, f"{place.topic} has the partitions 0 to {count - 1}.")


def _show(codec: Codec, place: Position, raw: Raw | None) -> None:
    """What stands there, so that a person sees whether it is the one that is meant."""
    out = console()
    if raw is None:
        say(out, f"{place}: no record stands there (a marker, or compacted away).")
        return
    try:
        said = codec.decode_value(raw.value).name
    except Poison as error:
        said = f"not readable here: {raw.flaw or error}"
    say(out, f"{place}: {said}", "bold")
    say(out, f"  written {rfc3339(raw.timestamp)}, {raw.size} bytes, key {(raw.key or b'')[:100]!r}")
    for name in ("ce_type", "keyversion", "cause", "ce_source"):
        if (value := raw.header(name)) is not None:
            say(out, f"  {name}: {value[:200]!r}")
