"""The catalogue: every kind of hostile record, for every topic that a service reads.

Left out is what nobody can tell from the real thing: an OrderCreated that order did not write, an event of a key's
next version with a plausible cause. To prevent that is the work of access control. What is right in form but for one
oddity is therefore a command (it is simply obeyed), a report about an order nobody knows, or an event nobody takes.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.model.record import Raw
from eventbus.retry.parked import ERRORS, Parked, State
from tools.registry import STARTED
from verification.hostile.case import Case, harmless, type_header, unheard
from verification.hostile.record import Hostile

SERVICES = tuple(service.name for service in STARTED)
INPUTS = (
    "order.commands",
    "order.events",
    "payment.events",
    "inventory.events",
    "inventory.answers",
    "stock.commands",
    *(f"{service}.admin" for service in SERVICES),
)
OWN_LOGS = {log: service.name for service in STARTED for log in service.logs}
"""Each log, and the service that writes it."""

DIGITS = b"9" * 5_000
NOT_UTF8 = b"x-\xff\xfe"
ESCAPES = "\x1b]52;c;eA==\x07\x1b[2J\x9b31m\r\n\u202e[red]"
MEGABYTE = 1_000_000
ZEROS = 12 * MEGABYTE
BOMB = 120 * MEGABYTE
"""More than librdkafka's ``receive.message.max.bytes``."""


def _key_not_text(case: Case) -> Hostile:
    """Decoded with replacement, key and body look the same; as bytes they are two orders."""
    key = b"\xff\xff"
    value = case.sound("\ufffd\ufffd").value
    return case.placed(key, value)


def _time_beyond(case: Case) -> Hostile:
    record = case.sound()
    return record.having((b"ce_time", b"9999-12-31T23:59:59.999999+00:00"))


INPUT_KINDS: Mapping[str, Callable[[Case], Hostile]] = {
    "garbage bytes": lambda c: c.heard().but(value=(c.heard().value or b"")[:5] + b"\xff" * 40),
    "no wire format": lambda c: c.heard().but(value=b'{"orderId": "1"}'),
    "unknown schema id": lambda c: c.heard().but(value=struct.pack(">bI", 0, 999_999) + b"\0" * 40),
    "bytes left over": lambda c: c.heard().but(value=(c.heard().value or b"") + b"\0"),
    "no value": lambda c: c.heard().but(value=None),
    "no key": lambda c: c.heard().but(key=None),
    "wrong partition": lambda c: c.heard().but(partition=(c.heard().partition + 1) % c.partitions),
    "key of another": lambda c: c.heard().but(
        key=(k := b"not-%s" % c.id.encode()), partition=partition_of(k, c.partitions)
    ),
    "key not text": _key_not_text,
    "key version of 5,000 digits": lambda c: c.sound().having((b"keyversion", DIGITS)),
    "key version of other digits": lambda c: c.sound().having((b"keyversion", "²٣".encode())),
    "header name not UTF-8": lambda c: c.sound().having((NOT_UTF8, b"1")),
    "header name with NUL": lambda c: c.sound().having((b"x\0y", b"1")),
    "header values not UTF-8": lambda c: c.sound().having(
        (b"correlationid", b"\xff"), (b"ce_id", b"\xfe\x00")
    ),
    "time beyond every calendar": _time_beyond,
    "1 MB of correlation id": lambda c: c.sound(compression="lz4").having(
        (b"correlationid", b"c" * MEGABYTE)
    ),
    "1 MB of traceparent": lambda c: c.sound(compression="gzip").having((b"traceparent", b"0" * MEGABYTE)),
    "12 MB of zeros, zstd": lambda c: c.heard().but(value=b"\0" * ZEROS, compression="zstd"),
    "a key of 750 kB": lambda c: c.sound(c.id + "x" * 750_000, compression="lz4"),
    "5,000 headers": lambda c: c.sound().but(headers=tuple((b"x-%d" % n, b"") for n in range(5_000))),
    "escape sequences in the key": lambda c: c.sound(c.id + ESCAPES),
    "escape sequences in the type": lambda c: c.heard().having((b"ce_type", ESCAPES.encode())),
}
"""By kind, the record for one input topic."""


def _event(case: Case) -> Hostile:
    message = unheard(case.topic, case.id)
    return case.placed(message.key.encode(), case.codec.encode(message), type_header(message))


def _versioned(case: Case, version: bytes, cause: bytes | None = None) -> Hostile:
    record = _event(case)
    return record.having(
        (b"keyversion", version), (b"cause", cause or b"order.commands-%d-0" % record.partition)
    )


OWN_KINDS: Mapping[str, Callable[[Case], Hostile]] = {
    "event of key version 99": lambda c: _versioned(c, b"99"),
    "event of a key version of 5,000 digits": lambda c: _versioned(c, DIGITS),
    "event of key version 99 by the new names": lambda c: _event(c).having(
        (b"ce_keyversion", b"99"), (b"ce_cause", b"order.commands-%d-0" % _event(c).partition)
    ),
    "event of two key versions, by the old and the new name": lambda c: _versioned(c, b"99").having(
        (b"ce_keyversion", b"1"), (b"ce_cause", b"order.commands-%d-0" % _event(c).partition)
    ),
    "event without a key version": lambda c: _event(c).having((b"cause", b"order.commands-0-0")),
    "event with a cause that is none": lambda c: _versioned(c, b"1", b"\xff no cause"),
    "event with a cause of 5,000 digits": lambda c: _versioned(c, b"1", b"order.commands-0-" + DIGITS),
    "event in a wrong partition": lambda c: _versioned(c, b"1").but(
        partition=(_event(c).partition + 1) % c.partitions
    ),
    "broken event of key version 99": lambda c: _versioned(c, b"99").but(value=b"\0\0\0\0\7\xff\xff"),
    "broken event with a header name not UTF-8": lambda c: _versioned(c, b"99").having((NOT_UTF8, b"1")),
}
"""By kind, what stands in a log and its one writer did not write."""


def _parked(case: Case, **changes: bytes) -> Hostile:
    """A record of a retry topic with some of what it says replaced; names as after ``__eventbus.``."""
    service = case.topic.removesuffix(".retry")
    log = next(log for log, owner in OWN_LOGS.items() if owner == service)
    value = case.codec.encode(harmless("order.commands", case.id))
    partition = partition_of(case.id.encode(), case.partitions)
    raw = Raw("order.commands", partition, 1 << 40, case.id.encode(), value, [], 0)
    waits = Parked(raw, log, case.id, 1, State.WAITING, 1, 0, 0, "Retryable", "forged").headers()
    headers = {name.encode(): text for name, text in waits} | {
        b"__eventbus." + name.replace("_", ".").encode(): text for name, text in changes.items()
    }
    return Hostile("", case.topic, partition, raw.coordinates.encode(), value, tuple(headers.items()))


RETRY_KINDS: Mapping[str, Callable[[Case], Hostile]] = {
    "parked: due of 30 digits": lambda c: _parked(c, retry_due=b"9" * 30),
    "parked: due of 5,000 digits": lambda c: _parked(c, retry_due=DIGITS),
    "parked: unknown log": lambda c: _parked(c, retry_log=b"no.such.log"),
    "parked: unknown state": lambda c: _parked(c, retry_state=b"ASLEEP"),
    "parked: sequence of 30 digits": lambda c: _parked(c, retry_sequence=b"9" * 30),
    "parked: offset below zero": lambda c: _parked(c, errors_offset=b"-1"),
    "parked: another partition": lambda c: _parked(c, errors_partition=b"%d" % c.partitions),
    "parked: bytes and no more": lambda c: c.placed(b"\xff", b"\xff"),
    "parked: header name not UTF-8": lambda c: _parked(c, retry_state=b"ASLEEP").having((NOT_UTF8, b"1")),
}
"""By kind, what stands in the retry topic of a service and it did not write."""

LETTER_KINDS: Mapping[str, Callable[[Case], Hostile]] = {
    "letter: bytes and no more": lambda c: c.placed(b"\xff", b"\xff"),
    "letter: numbers of 5,000 digits": lambda c: c.placed(
        b"k",
        b"v",
        *((f"{ERRORS}{n}".encode(), DIGITS) for n in ("topic", "partition", "offset", "timestamp")),
    ),
    "letter: escape sequences": lambda c: c.placed(
        ESCAPES.encode(),
        b"v",
        *((f"{ERRORS}{n}".encode(), ESCAPES.encode()) for n in ("topic", "message")),
    ),
    "letter: header name not UTF-8": lambda c: c.placed(b"k", b"v", (NOT_UTF8, b"1")),
}
"""By kind, what stands in a dead letter topic and no service wrote."""

HEAVY = (
    "12 MB of zeros, zstd",
    "1 MB of correlation id",
    "1 MB of traceparent",
    "a key of 750 kB",
    "5,000 headers",
    "120 MB of zeros, zstd",
)
"""Kinds of which a few go a long way."""


BOMB_KINDS: Mapping[str, Callable[[Case], Hostile]] = {
    "120 MB of zeros, zstd": lambda c: c.placed(b"bomb", b"\0" * BOMB).but(compression="zstd"),
}
"""By kind, a batch that decompresses to more than a client takes: by itself it never gets past it."""


@dataclass(frozen=True)
class Family:
    """Kinds that make sense in the same topics."""

    topics: Sequence[str]
    kinds: Mapping[str, Callable[[Case], Hostile]]


IN_INPUTS = Family(INPUTS, INPUT_KINDS)
IN_OWN_LOGS = Family(tuple(OWN_LOGS), OWN_KINDS)
IN_RETRIES = Family([f"{service}.retry" for service in SERVICES], RETRY_KINDS)
IN_LETTERS = Family([f"{service}.dlq" for service in SERVICES], LETTER_KINDS)
BOMBS = Family(("order.commands", "order.events", "payment.retry", "stock.events"), BOMB_KINDS)
FAMILIES = (IN_INPUTS, IN_OWN_LOGS, IN_RETRIES, IN_LETTERS, BOMBS)


class Catalogue:
    """Makes records of every kind for topics of so many partitions, each about an id of its own."""

    def __init__(self, partitions: int) -> None:
        self._partitions, self._codec = partitions, Codec("schemas")

    def make(self, family: Family, kind: str, topic: str) -> Hostile:
        """One record."""
        case = Case(topic, f"hostile-{uuid.uuid4()}", self._codec, self._partitions)
        return family.kinds[kind](case).but(kind=kind)

    def all_of(self, *families: Family) -> Iterator[Hostile]:
        """Every kind of these families in every topic of theirs."""
        for family in families:
            for topic in family.topics:
                for kind in family.kinds:
                    yield self.make(family, kind, topic)
