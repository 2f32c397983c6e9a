"""What a turn writes: events and commands, what waits in the retry topic, dead letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from eventbus.headers import headers_of
from eventbus.model.errors import Poison, Unrepresentable
from eventbus.model.folding import Folded, fold
from eventbus.model.limits import ALL_OUTPUTS, MAX_KEY, MAX_LETTER, Limits
from eventbus.model.messages import Envelope, Message
from eventbus.model.mirror import Mirror
from eventbus.model.places import Partition
from eventbus.model.record import Headers, Raw, size_of
from eventbus.model.rules import check_outputs
from eventbus.processing.context import TurnContext
from eventbus.processing.work import WorkItem
from eventbus.retry.parked import TRUNCATED, Parked
from eventbus.wire_format import DATASCHEMA


class Outgoing(Struct, frozen=True):
    """A record to produce. Its offset matters where it is an ``event`` of an own log, or a ``parked`` message."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    cause: str
    """The coordinates of the input that led to it."""
    event: Envelope | None = None
    parked: Parked | None = None
    next: WorkItem | None = None
    """It, for the decider here that takes it; None if none may decide it at once."""
    unrepresentable: Mirror | None = None
    """The mirror that this own event is not in, since the older version cannot say what it says."""

    @property
    def place(self) -> Partition:
        """Where it is to stand."""
        return Partition(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)


Written = Sequence[tuple[Outgoing, int]]
"""Records of a committed transaction, each with the offset at which it stands."""


def produced(
    context: TurnContext, item: WorkItem, before: Folded[Any], outputs: Sequence[Any]
) -> tuple[list[Outgoing], Folded[Any]]:
    """All outputs of one input, encoded, and the state after them. Raises Poison if one cannot be written."""
    check_outputs(item.decider, item.key, outputs)
    now, folded, version, total = context.clock(), before, before.version, 0
    records: list[Outgoing] = []
    for index, output in enumerate(outputs):
        decided = output.stamp(now)
        value = context.codec.encode(decided)
        # The log is what state is folded from: so the state here is folded from what the log holds.
        message = context.codec.as_read(decided, value)
        own = message.topic == item.decider.log
        version += own
        place = f"{before.version}.{index}"
        envelope = _envelope(context, item, message, place, now, version if own else None)
        record = _record(context, item, envelope, value, own)
        if own:
            folded = fold(item.decider, folded, envelope)
        for one in _mirrored(context, record, decided) if own else [record]:
            total += _checked_size(context.limits, one, message, own)
            records.append(one)
    if total > context.limits.event * ALL_OUTPUTS:
        raise Poison(
            f"{item.raw.coordinates} leads to {len(records)} records of {total} bytes in all, more than "
            f"{ALL_OUTPUTS} times EVENTBUS_MAX_EVENT_BYTES ({context.limits.event})"
        )
    return records, folded


def _next(context: TurnContext, item: WorkItem, envelope: Envelope) -> WorkItem | None:
    """An output as an input of the decider here that may decide it at once; None if there is none."""
    decider = context.router.taker(envelope.topic, envelope.message.name)
    return None if decider is None else WorkItem.next(decider, item.raw, envelope)


def _record(context: TurnContext, item: WorkItem, envelope: Envelope, value: bytes, own: bool) -> Outgoing:
    """The record of one output, in the topic of its message."""
    headers = headers_of(envelope, old_names=context.old_headers)
    headers += context.codec.schema_headers(value)
    return Outgoing(
        envelope.topic,
        envelope.partition,
        envelope.message.key.encode(),
        value,
        headers,
        item.raw.coordinates,
        envelope if own else None,
        next=None if own else _next(context, item, envelope),
    )


def _mirrored(context: TurnContext, event: Outgoing, message: Message) -> list[Outgoing]:
    """The record of an own event, and the one of its mirror if there is a mirror that can hold it."""
    mirror = context.mirrors.get(type(message))
    if mirror is None:
        return [event]
    try:
        value = context.codec.encode_as(message, mirror.version)
    except Unrepresentable:
        return [replace(event, unrepresentable=mirror)]
    headers = [header for header in event.headers if header[0] != DATASCHEMA]
    headers += context.codec.schema_headers(value)
    return [event, replace(event, topic=mirror.topic, value=value, headers=headers, event=None)]


def _checked_size(limits: Limits, record: Outgoing, message: Message, own: bool) -> int:
    """The size of a record that Kafka will take; raises Poison if it will not."""
    if not 0 < len(record.key or b"") <= MAX_KEY:
        raise Poison(f"the key of {message.name} has {len(record.key or b'')} bytes, not 1 to {MAX_KEY}")
    most, setting = (
        (limits.event, "EVENTBUS_MAX_EVENT_BYTES") if own else (limits.command, "EVENTBUS_MAX_COMMAND_BYTES")
    )
    size = record.size
    if size > most:
        raise Poison(
            f"{message.name} for {record.cause} has {size} bytes with its key and headers, more than "
            f"{most} ({setting})"
        )
    return size


def _envelope(
    context: TurnContext, item: WorkItem, message: Message, place: str, now: int, version: int | None
) -> Envelope:
    """``place``: the key's version before, and which output it is. A repeated decision gives the same ids."""
    return Envelope(
        message=message,
        id=f"{context.service}/{item.origin}/{place}",
        time=now,
        source=f"/{context.service}",
        correlation_id=item.correlation_id,
        cause=item.raw.coordinates,
        key_version=version,
        traceparent=item.traceparent,
        topic=message.topic,
        partition=context.partition_of(message.key.encode()),
        offset=-1,
        causation_id=item.causation_id,
        author=None if version is None else item.author,
    )


def retry_record(service: str, parked: Parked) -> Outgoing:
    """The next record of a message in the retry topic. Its key is the message's coordinates."""
    raw, place = parked.raw, parked.raw.coordinates
    topic = f"{service}.retry"
    return Outgoing(topic, raw.partition, place.encode(), raw.value, parked.headers(), place, parked=parked)


def dead_letter(context: TurnContext, parked: Parked) -> Outgoing:
    """The record as it was, with where it stood, who failed and why in further headers.

    If the record is larger than a dead letter can be, what fits is kept: the headers if they leave room for the rest,
    then the key, then the beginning of the value. ``__eventbus.errors.truncated`` says how large it was.
    """
    whole = parked.raw
    topic = f"{context.service}.dlq"
    room = 0 if topic in context.refused.get(whole.coordinates, ()) else MAX_LETTER
    kept = whole if whole.size <= room else _cut(whole, room)
    letter = dataclasses.replace(parked, raw=kept)
    headers = letter.dead_letter_headers(context.service, context.version, context.clock())
    if kept is not whole:
        sizes = f"key {len(whole.key or b'')}, value {len(whole.value or b'')}, in all {whole.size} bytes"
        headers.append((TRUNCATED, sizes.encode()))
    return Outgoing(topic, whole.partition, kept.key, kept.value, headers, whole.coordinates)


def _cut(raw: Raw, room: int) -> Raw:
    """The record with what does not fit into ``room`` bytes cut off or left out."""
    of_headers = raw.size - len(raw.key or b"") - len(raw.value or b"")
    headers = raw.headers if of_headers <= room // 2 else []
    room -= of_headers if headers else 0
    key = raw.key if len(raw.key or b"") <= room // 2 else (raw.key or b"")[: min(MAX_KEY, room)]
    room -= len(key or b"")
    return raw._replace(headers=headers, key=key, value=None if raw.value is None else raw.value[:room])


def own_records(
    written: Written,
) -> tuple[list[Envelope], list[tuple[str, Parked]], dict[Partition, int]]:
    """What of the written records, each with its offset, changes the state here.

    These are the own events, the parked messages with their retry topics, and the offset up to which each of these
    logs is folded then.
    """
    events = [placed(out, offset) for out, offset in written if out.event]
    parked = [(out.topic, out.parked) for out, _ in written if out.parked]
    upto: dict[Partition, int] = {}
    for out, offset in written:
        if out.event or out.parked:
            partition = Partition(out.topic, out.partition)
            upto[partition] = max(offset + 1, upto.get(partition, 0))
    return events, parked, upto


def placed(outgoing: Outgoing, offset: int) -> Envelope:
    """The own event of a produced record, now that its offset is known."""
    assert outgoing.event is not None
    return replace(outgoing.event, offset=offset, size=len(outgoing.value or b""))
