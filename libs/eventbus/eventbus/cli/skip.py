"""``eventbus skip``: skip one record. Nothing is folded from it, and it is never decided."""

from __future__ import annotations

from eventbus.admin import Skip
from eventbus.cli.ending import CommandError, Exit, ask
from eventbus.cli.printing import console, print_line
from eventbus.cli.reader import TopicReader
from eventbus.cli.writer import CommandWriter
from eventbus.codec import Codec
from eventbus.headers import rfc3339
from eventbus.model.errors import Poison
from eventbus.model.places import Partition, Position
from eventbus.model.record import Raw
from eventbus.processing.skips import PARTITION, TOPIC
from eventbus.settings import Settings
from eventbus.wire_format import DATASCHEMA


def skip(
    settings: Settings, codec: Codec, position: Position, reason: str, *, undo: bool, confirmed: bool
) -> None:
    """Write that the record at ``position`` is skipped, or (``undo``) no longer is. Raises CommandError."""
    topics = TopicReader(settings)
    _require(topics, position)
    _show(codec, position, topics.record(position))
    if not confirmed:
        ask(f"{'Fold' if undo else 'Skip'} {position} {'again' if undo else 'in every replica, for ever'}?")
    write_skip(CommandWriter(settings, codec), position, reason, undo=undo)
    what = "is skipped no more" if undo else "is skipped from now on"
    print(
        f"{position} {what}. A replica that has folded it already ends, and its successor folds the partition anew."
    )


def write_skip(writer: CommandWriter, position: Position, reason: str, *, undo: bool = False) -> None:
    """Write the skip, or (``undo``) that there is none any more; returns once that is durable."""
    if undo:
        writer.delete(Partition(TOPIC, PARTITION), str(position))
    else:
        writer.send(Partition(TOPIC, PARTITION), Skip(record=str(position), reason=reason), "/eventbus/skip")


def _require(topics: TopicReader, position: Position) -> None:
    if not topics.partition_count(TOPIC):
        raise CommandError(
            Exit.AWAY, f"There is no topic {TOPIC}: run `eventbus topics create`, then repeat."
        )
    count = topics.partition_count(position.topic)
    if not count:
        raise CommandError(Exit.USAGE, f"There is no topic {position.topic} (name it without its prefix).")
    if position.partition >= count:
        raise CommandError(Exit.USAGE, f"{position.topic} has the partitions 0 to {count - 1}.")


def _show(codec: Codec, position: Position, raw: Raw | None) -> None:
    """Print the record, so that a person sees whether it is the right one."""
    out = console()
    if raw is None:
        print_line(out, f"{position}: no record stands there (a marker, or compacted away).")
        return
    try:
        name = codec.decode_value(raw.value, raw.header(DATASCHEMA)).name
    except Poison as error:
        name = f"not readable here: {raw.flaw or error}"
    print_line(out, f"{position}: {name}", "bold")
    print_line(out, f"  written {rfc3339(raw.timestamp)}, {raw.size} bytes, key {(raw.key or b'')[:100]!r}")
    told = {name: raw.extension(name) for name in ("keyversion", "cause")}
    for name, value in {
        "ce_type": raw.header("ce_type"),
        **told,
        "ce_source": raw.header("ce_source"),
    }.items():
        if value is not None:
            print_line(out, f"  {name}: {value[:200]!r}")
