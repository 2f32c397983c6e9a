"""Strategies for records that are almost what a service expects: valid messages, then broken in some of many ways.

What nobody can tell from the real thing is left out (see :mod:`verification.hostile.catalogue`): :func:`tamed`
spoils it.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import schemas
from eventbus import admin
from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.model.errors import Poison
from eventbus.model.messages import Message
from eventbus.model.record import Raw
from eventbus.processing.own_log import Doubtful, Foreign, claim, parked_message
from verification.hostile.case import Case
from verification.hostile.catalogue import INPUTS, OWN_LOGS, SERVICES
from verification.hostile.catalogue import RETRY_KINDS as PARKED_KINDS
from verification.hostile.record import Header, Hostile

MESSAGES: dict[str, tuple[str, ...]] = {
    "order.commands": ("CreateOrder", "CancelOrder", "CompleteOrder"),
    "order.events": (
        "OrderCreated",
        "OrderFailed",
        "OrderCancelled",
        "OrderCompleted",
        "OrderPaid",
        "OrderReserved",
    ),
    "payment.events": (
        "PaymentSucceeded",
        "PaymentFailed",
        "PaymentRefunded",
        "PaymentVoided",
        "ChargeUnresolved",
    ),
    "inventory.events": ("InventoryReserved", "InventoryFailed", "InventoryReleased", "ReleaseStarted"),
    "inventory.answers": ("StockAnswered",),
    "stock.commands": ("ReserveStock", "ReleaseStock", "ShipStock", "AdjustStock"),
    "stock.events": ("StockAdjusted", "StockReserved", "StockRepeated"),
    "notification.events": (
        "NotificationSent",
        "NotificationSkipped",
        "NotificationFailed",
        "NotificationDelayed",
    ),
    **{f"{service}.admin": ("Redrive", "Discard") for service in SERVICES},
}
"""By topic, what a valid record of it may carry."""
OBEYED = ("OrderCreated", "OrderFailed", "OrderCancelled", "OrderCompleted", "OrderConfirmed")
"""Events of order's that others act upon whoever wrote them: a sound one is a perfect forgery."""
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
HEADERS = (
    *("ce_id", "ce_type", "ce_time", "ce_source", "ce_subject", "ce_specversion", "content-type"),
    *(
        "correlationid",
        "ce_correlationid",
        "ce_causationid",
        "traceparent",
        "keyversion",
        "ce_keyversion",
        "cause",
        "ce_cause",
        "__eventbus.retry.state",
        "__eventbus.errors.topic",
    ),
)
WORDS = (
    "",
    "0",
    "-1",
    "1",
    "2",
    "9" * 30,
    "9" * 5_000,
    "1e9",
    "²",
    "order.commands-0-0",
    "a-b-c",
    "\x1b[2J\r\n\u202e",
)

texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=30), st.just("x" * 100_000))
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**53, 2**62, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
blobs = st.one_of(st.binary(max_size=40), texts.map(lambda text: text.encode("utf-8", "replace")))


def value_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field of a message, by its type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(value_of(inner[0]), max_size=4).map(tuple)
    if inner:
        return st.one_of(*(st.none() if one is type(None) else value_of(one) for one in inner))
    if is_dataclass(hint):
        types = typing.get_type_hints(hint)
        return st.builds(typing.cast(Any, hint), **{f.name: value_of(types[f.name]) for f in fields(hint)})
    return {str: texts, int: numbers, bool: st.booleans()}[hint]


def messages(name: str, id: str) -> st.SearchStrategy[Message]:
    """Messages of one name about one id: each field is either what a shop would say, or anything of its type."""
    cls: type[Message] = getattr(admin if hasattr(admin, name) else schemas, name)
    hints = typing.get_type_hints(cls)
    usual: dict[str, Any] = {
        "currency": "GBP",
        "user_id": "eve",
        "contact": None,
        "payment_method": "tok_ok",
        "items": (schemas.Item(product_id=id, quantity=1, unit_price=1),),
        "outcome": "REFUSED",
        "timestamp": 0,
        "deadline_at": None,
    }
    given = {
        field.name: st.one_of(
            st.just(usual[field.name]), st.just(usual[field.name]), value_of(hints[field.name])
        )
        if field.name in usual
        else value_of(hints[field.name])
        for field in fields(typing.cast(Any, cls))
    }
    # Of a product nobody has: what a forged command reserves would be held for nobody.
    given |= {name: st.just(id) for name in ("product_id", cls.key_field) if name in given}
    return st.builds(cls, **given)


Change = Callable[[Hostile], Hostile]


def changes(partitions: int) -> st.SearchStrategy[Change]:
    """Ways to break a record."""
    plain = st.sampled_from(HEADERS).map(str.encode)
    names = st.one_of(plain, st.binary(max_size=12), texts.map(lambda t: t.encode("utf-8", "replace")[:200]))
    header = st.tuples(names, st.one_of(st.none(), blobs))
    return st.one_of(
        header.map(lambda one: lambda r: r.having(one)),
        st.lists(header, max_size=30).map(lambda some: lambda r: r.but(headers=(*r.headers, *some))),
        st.one_of(st.none(), blobs).map(lambda key: lambda r: moved(r, key, partitions)),
        st.integers(0, partitions - 1).map(lambda to: lambda r: r.but(partition=to)),
        st.one_of(st.none(), blobs).map(lambda value: lambda r: r.but(value=value)),
        st.integers(0, 200).map(lambda size: lambda r: r.but(value=(r.value or b"")[:size])),
        st.tuples(st.integers(0, 200), st.integers(1, 255)).map(
            lambda at: lambda r: r.but(value=flipped(r.value, *at))
        ),
        st.integers(0, 80).map(
            lambda id: lambda r: r.but(value=struct.pack(">bI", 0, id) + (r.value or b"")[5:])
        ),
        st.sampled_from([10_000, 3_000_000]).map(
            lambda size: lambda r: r.but(value=b"\0" * size, compression="zstd")
        ),
        st.sampled_from(COMPRESSIONS).map(lambda codec: lambda r: r.but(compression=codec)),
    )


def moved(record: Hostile, key: bytes | None, partitions: int) -> Hostile:
    """The same under another key, where that key belongs."""
    return record.but(key=key, partition=partition_of(key, partitions) if key else record.partition)


def flipped(value: bytes | None, place: int, by: int) -> bytes:
    """One byte of a value changed."""
    data = bytearray(value or b"\0")
    data[place % len(data)] ^= by
    return bytes(data)


def tamed(record: Hostile, codec: Codec, partitions: int) -> Hostile:
    """The record, spoilt where nobody could tell it from a real one."""
    raw = Raw(
        record.topic,
        record.partition,
        0,
        record.key,
        record.value,
        [(name.decode("utf-8", "replace"), value) for name, value in record.headers],
        0,
    )
    place = lambda key: partition_of(key, partitions)  # noqa: E731
    if record.topic in RETRIES:
        try:
            parked_message(raw, place, lambda log: True)
        except Foreign:
            return record
        except Doubtful:  # it would stop its task, as a record of newer code does
            pass
        return record.but(key=b"elsewhere")
    try:
        if record.topic in OWN_LOGS and claim(raw, place).version == 1:
            record = record.having((b"keyversion", b"2"))
    except Foreign:
        pass
    try:
        if record.topic == "order.events" and codec.decode_value(record.value).name in OBEYED:
            record = record.but(value=(record.value or b"") + b"\0")
    except Poison:
        pass
    return record


RETRIES = tuple(f"{service}.retry" for service in SERVICES)
SHARES = (*INPUTS, *OWN_LOGS, *RETRIES, *(topic for topic in INPUTS if not topic.endswith(".admin")))
"""The topics in turn: every input that carries the business twice."""


def records(topic: str, id: str, codec: Codec, partitions: int) -> st.SearchStrategy[Hostile]:
    """Records for one topic, about one id."""

    @st.composite
    def build(draw: Any) -> Hostile:
        if topic in RETRIES:
            kind = draw(st.sampled_from(sorted(PARKED_KINDS)))
            record = PARKED_KINDS[kind](Case(topic, id, codec, partitions))
        else:
            message = draw(messages(draw(st.sampled_from(MESSAGES[topic])), id))
            kind, record = message.name, written(message, topic, codec, partitions)
        made = draw(st.lists(changes(partitions), max_size=3))
        for change in made:
            record = change(record)
        return tamed(record, codec, partitions).but(kind=f"{kind}, changed {len(made)} times")

    return build()


def written(message: Message, topic: str, codec: Codec, partitions: int) -> Hostile:
    """A message as its producer would write it; one that does not fit its schema without a body."""
    try:
        value = codec.encode(message)
    except Poison:
        value = b""
    key = message.key.encode()
    type_header: Header = (b"ce_type", message.name.encode())
    return Hostile(message.name, topic, partition_of(key, partitions), key, value, (type_header,))


def generate(count: int, number: int, partitions: int) -> list[Hostile]:
    """So many records for the topics in turn; the same number gives the same ones."""
    each = -(-count // len(SHARES))
    codec = Codec("schemas")
    by_topic = [
        _some(topic, each, number, f"fuzz-{number}-{place}", codec, partitions)
        for place, topic in enumerate(SHARES)
    ]
    return [record for row in zip(*by_topic, strict=True) for record in row][:count]


def _some(topic: str, count: int, number: int, name: str, codec: Codec, partitions: int) -> list[Hostile]:
    """So many records for one topic, each about an id of its own."""
    made: list[Hostile] = []

    @seed(number)
    @settings(
        max_examples=count + 1,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        made.append(data.draw(records(topic, f"{name}-{len(made)}", codec, partitions)))

    collect()
    return made[1 : count + 1]  # the first is always the simplest
