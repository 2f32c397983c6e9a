"""What a turn writes: events and commands, what waits in the retry topic, dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eventbus.codec import Headers, headers_of
from eventbus.errors import Poison
from eventbus.folding import Folded, fold
from eventbus.messages import Envelope, Message
from eventbus.retry import Parked
from eventbus.work import Surroundings, Work


@dataclass(frozen=True)
class Outgoing:
    """A record to produce. Its offset matters where it is an ``event`` of an own log, or a ``parked`` message."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    event: Envelope | None = None
    parked: Parked | None = None


def produced(
    around: Surroundings, work: Work, before: Folded[Any], outputs: Sequence[Any]
) -> tuple[list[Outgoing], Folded[Any]]:
    """All outputs of one input, encoded, and the state after them. Raises Poison if one cannot be written."""
    now, folded, version = around.clock(), before, before.version
    records: list[Outgoing] = []
    for index, output in enumerate(outputs):
        message = output.stamp(now)
        own = message.topic == work.decider.log
        version += own
        envelope = _envelope(
            around, work, message, f"{before.version}.{index}", now, version if own else None
        )
        value = around.codec.encode(message)
        if len(value) > around.max_bytes:
            raise Poison(
                f"{message.name} for {work.raw.coordinates} has {len(value)} bytes, more than "
                f"{around.max_bytes} (EVENTBUS_MAX_EVENT_BYTES)"
            )
        if own:
            folded = fold(work.decider, folded, envelope)
        key, headers = message.key.encode(), headers_of(envelope)
        event = envelope if own else None
        records.append(Outgoing(message.topic, envelope.partition, key, value, headers, event))
    if not any(record.event for record in records):
        raise TypeError(f"{work.decider.log}: outputs without an own event leave no trace: {outputs}")
    return records, folded


def _envelope(
    around: Surroundings, work: Work, message: Message, place: str, now: int, version: int | None
) -> Envelope:
    """``place``: the key's version before, and which output it is. The same decision repeated has the same ids."""
    return Envelope(
        message=message,
        id=f"{around.service}/{work.origin}/{place}",
        time=now,
        source=f"/{around.service}",
        correlation_id=work.correlation_id,
        cause=work.raw.coordinates,
        key_version=version,
        traceparent=work.traceparent,
        topic=message.topic,
        partition=around.partition_of(message.key.encode()),
        offset=-1,
    )


def waiting(service: str, parked: Parked) -> Outgoing:
    """What the retry topic is to say of a message from now on, under its coordinates."""
    raw = parked.raw
    key = raw.coordinates.encode()
    return Outgoing(f"{service}.retry", raw.partition, key, raw.value, parked.headers(), parked=parked)


def letter(around: Surroundings, parked: Parked) -> Outgoing:
    """The record as it was, with where it stood, who failed and why in further headers."""
    raw, headers = parked.raw, parked.letter(around.service, around.version, around.clock())
    return Outgoing(f"{around.service}.dlq", raw.partition, raw.key, raw.value, headers)


def placed(outgoing: Outgoing, offset: int) -> Envelope:
    """The own event of a produced record, now that its offset is known."""
    assert outgoing.event is not None
    return replace(outgoing.event, offset=offset, size=len(outgoing.value or b""))
