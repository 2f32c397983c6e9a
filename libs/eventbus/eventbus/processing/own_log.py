"""What a record in an own log is: the next event of its key, one that cannot be folded, or nobody's.

Anybody with access to Kafka can write to a log. So a record counts only if the leader of its task can have written
it: its partition is the one of its key, its cause stands in that partition, and its version is its key's next. This
is no proof (access control is), but nothing that fails it can change a state, or stop a replica.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from eventbus.codec import Codec
from eventbus.model.errors import EventBusError, Poison, UnknownSchema
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope
from eventbus.model.places import Position, whole_number
from eventbus.model.record import Raw
from eventbus.retry.parked import NewerFormat, Parked, State
from eventbus.wire_format import DATASCHEMA

PartitionOf = Callable[[bytes], int]


class Foreign(EventBusError):
    """The leader of the log cannot have written the record: it is counted, and the fold goes on without it."""


class Doubtful(EventBusError):
    """The leader may have written the record, but it cannot be folded here: the task stops until that is decided."""


class Newer(Doubtful):
    """Doubtful, and newer code would be able to say: a replica that runs it can lead the task."""


class Claim(NamedTuple):
    """What a record says of itself: its key, and which event of that key it is."""

    key: str
    version: int


def claim(raw: Raw, partition_of: PartitionOf) -> Claim:
    """What a record claims, if the leader of its partition can have written it. Raises Foreign."""
    if raw.flaw:
        raise Foreign(raw.flaw)
    version, cause = raw.extension("keyversion"), raw.extension("cause")
    if version is None or cause is None:
        raise Foreign("it carries no key version and no cause")
    try:
        number, caused_in = whole_number(version), Position.parse(cause).partition
    except ValueError as error:
        raise Foreign(f"its key version or its cause is none: {error}") from None
    if not raw.key or len(raw.key) > MAX_KEY:
        raise Foreign("it has no key, or one that is too long")
    try:
        key = raw.key.decode()
    except UnicodeDecodeError:
        raise Foreign("its key is not text") from None
    if partition_of(raw.key) != raw.partition:
        raise Foreign("its partition is not the one of its key")
    if caused_in != raw.partition:
        raise Foreign(f"its cause {cause[:100]} stands in another partition")
    return Claim(key, number)


def next_event(raw: Raw, codec: Codec, partition_of: PartitionOf, folded: Callable[[str], int]) -> Envelope:
    """The event in a record, to be folded next. Raises Foreign or Doubtful.

    ``folded``: how many events of a key are folded so far.
    """
    claimed = claim(raw, partition_of)
    known = folded(claimed.key)
    if claimed.version != known + 1:
        raise Foreign(f"it claims to be event {claimed.version} of {claimed.key!r}, {known} are folded")
    try:
        envelope = codec.decode(raw)
    except UnknownSchema as error:
        raise Newer(str(error)) from error
    except Poison as error:
        raise (Foreign if _readable(raw, codec) else Doubtful)(str(error)) from error
    name = envelope.message.name
    if envelope.message.topic != raw.topic:
        raise Foreign(f"{name} does not belong in {raw.topic}")
    if raw.header("ce_type") not in (None, name):
        raise Foreign(f"its ce_type is not {name}, which its body is")
    return envelope


def _readable(raw: Raw, codec: Codec) -> bool:
    """Whether the body is a message: then something else about the record is wrong, and no leader wrote it."""
    try:
        codec.decode_value(raw.value, raw.header(DATASCHEMA))
    except Poison:
        return False
    return True


def parked_message(raw: Raw, partition_of: PartitionOf, logs: Callable[[str], bool]) -> Parked:
    """What a record of a retry topic says of a message that waits. Raises Foreign or Doubtful.

    ``logs``: whether a log is one whose messages may wait there.
    """
    try:
        parked = Parked.from_record(raw)
    except NewerFormat as error:
        raise (Newer if _may_wait_at(raw.key, raw.partition) else Foreign)(str(error)) from None
    except (KeyError, ValueError) as error:
        raise Foreign(f"it is no record of a retry topic ({error!r})") from None
    if raw.key != parked.raw.coordinates.encode() or raw.partition != parked.raw.partition:
        raise Foreign(f"it does not stand where {parked.raw.coordinates} waits")
    if parked.state is State.BURIED:
        return parked
    if not logs(parked.log):
        raise Foreign(f"no decider of this service has the log {parked.log[:100]!r}")
    if partition_of(parked.key.encode()) != raw.partition:
        raise Foreign("its partition is not the one of its key")
    return parked


def _may_wait_at(key: bytes | None, partition: int) -> bool:
    """Whether a key names a message whose task is that of the partition, in whatever format the record is."""
    try:
        return Position.parse((key or b"").decode()).partition == partition
    except ValueError:
        return False
