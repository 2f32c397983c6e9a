"""The codec: what it writes it reads, and of anything else it says what is wrong."""

from __future__ import annotations

import struct

import pytest

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.errors import Poison
from eventbus.model.messages import Envelope
from eventbus.model.record import Headers, Raw
from schemas import CreateOrder, Item, StockAdjusted

ORDER = CreateOrder(
    order_id="o1",
    user_id="anne",
    items=(Item(product_id="cup", quantity=2, unit_price=250),),
    currency="GBP",
    timestamp=1_700_000_000_000,
)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("schemas")


def raw(codec: Codec, *, key: bytes | None = b"o1", headers: Headers | None = None) -> Raw:
    return Raw("order.commands", 2, 7, key, codec.encode(ORDER), headers or [], 1_700_000_000_000)


def test_a_message_is_read_as_it_was_written(codec: Codec) -> None:
    assert codec.decode_value(codec.encode(ORDER)) == ORDER
    assert codec.name_of(codec.encode(ORDER)) == "CreateOrder"


def test_headers_carry_the_envelope_there_and_back(codec: Codec) -> None:
    sent = Envelope(
        message=ORDER,
        id="order/x-0-1/0",
        time=1_700_000_000_123,
        source="/order",
        correlation_id="c1",
        cause="order.commands-0-1",
        key_version=3,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        topic="order.commands",
        partition=2,
        offset=7,
    )

    assert codec.decode(raw(codec, headers=headers_of(sent))) == sent


def test_a_record_without_headers_gets_defaults(codec: Codec) -> None:
    envelope = codec.decode(raw(codec))

    assert (envelope.id, envelope.correlation_id) == ("order.commands-2-7", "order.commands-2-7")
    assert (envelope.time, envelope.cause, envelope.key_version) == (1_700_000_000_000, None, None)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda value: None, "empty value"),
        (lambda value: b"", "empty value"),
        (lambda value: b"{}", "wire format"),
        (lambda value: b"\x01" + value[1:], "wire format"),
        (lambda value: struct.pack(">bI", 0, 999_999) + value[5:], "unknown schema id 999999"),
        (lambda value: value[:-1], "is not CreateOrder"),
        (lambda value: value + b"\0", "left over"),
        (lambda value: value[:5], "is not CreateOrder"),
        (lambda value: value[:5] + b"\xff" * 30, "is not CreateOrder"),
    ],
)
def test_what_cannot_be_read_is_poison_that_says_why(codec: Codec, damage, complaint) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Poison, match=complaint):
        codec.decode_value(damage(codec.encode(ORDER)))


@pytest.mark.parametrize("key", [None, b"o2", b"\xff"])
def test_a_key_that_is_not_the_bodys_id_is_poison(codec: Codec, key: bytes | None) -> None:
    with pytest.raises(Poison, match="order_id"):
        codec.decode(raw(codec, key=key))


@pytest.mark.parametrize("quantity", ["two", None, 2**70])
def test_a_field_that_does_not_fit_its_schema_is_poison(codec: Codec, quantity: object) -> None:
    with pytest.raises(Poison, match="StockAdjusted"):
        codec.encode(StockAdjusted(product_id="cup", quantity=quantity, reason="", available_qty=0))  # type: ignore[arg-type]
