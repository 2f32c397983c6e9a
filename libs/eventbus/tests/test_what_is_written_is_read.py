"""The codec: what it writes it reads, and of anything else it says what is wrong."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import fastavro
import fastavro.schema
import pytest

import parcels
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.errors import Poison
from eventbus.model.messages import Envelope
from eventbus.model.record import Headers, Raw
from parcels.messages import Content, Insurance, ParcelWeighed, SendParcel

SEND_PARCEL_V1 = 1
"""Its id in ``parcels/ids.json``."""

PARCEL = SendParcel(
    parcel_id="p1",
    sender="anne",
    contents=(Content(article="cup", pieces=2),),
    insured=Insurance(amount=250, currency="GBP"),
    timestamp=1_700_000_000_000,
)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec("parcels")


def raw(codec: Codec, *, key: bytes | None = b"p1", headers: Headers | None = None) -> Raw:
    return Raw("parcel.commands", 2, 7, key, codec.encode(PARCEL), headers or [], 1_700_000_000_000)


def test_a_message_is_read_as_it_was_written(codec: Codec) -> None:
    assert codec.decode_value(codec.encode(PARCEL)) == PARCEL
    assert codec.name_of(codec.encode(PARCEL)) == "SendParcel"


def test_headers_carry_the_envelope_there_and_back(codec: Codec) -> None:
    sent = Envelope(
        message=PARCEL,
        id="parcel/x-0-1/0",
        time=1_700_000_000_123,
        source="/parcel",
        correlation_id="c1",
        cause="parcel.commands-0-1",
        key_version=3,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        topic="parcel.commands",
        partition=2,
        offset=7,
    )

    assert codec.decode(raw(codec, headers=headers_of(sent))) == sent


def test_a_record_without_headers_gets_defaults(codec: Codec) -> None:
    envelope = codec.decode(raw(codec))

    assert (envelope.id, envelope.correlation_id) == ("parcel.commands-2-7", "parcel.commands-2-7")
    assert (envelope.time, envelope.cause, envelope.key_version) == (1_700_000_000_000, None, None)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda value: None, "empty value"),
        (lambda value: b"", "empty value"),
        (lambda value: b"{}", "wire format"),
        (lambda value: b"\x01" + value[1:], "wire format"),
        (lambda value: struct.pack(">bI", 0, 999_999) + value[5:], "unknown schema id 999999"),
        (lambda value: value[:-1], "is not SendParcel"),
        (lambda value: value + b"\0", "left over"),
        (lambda value: value[:5], "is not SendParcel"),
        (lambda value: value[:5] + b"\xff" * 30, "is not SendParcel"),
    ],
)
def test_what_cannot_be_read_is_poison_that_says_why(codec: Codec, damage, complaint) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Poison, match=complaint):
        codec.decode_value(damage(codec.encode(PARCEL)))


@pytest.mark.parametrize("key", [None, b"p2", b"\xff"])
def test_a_key_that_is_not_the_bodys_id_is_poison(codec: Codec, key: bytes | None) -> None:
    with pytest.raises(Poison, match="parcel_id"):
        codec.decode(raw(codec, key=key))


@pytest.mark.parametrize("grams", ["two", None, 2**70])
def test_a_field_that_does_not_fit_its_schema_is_poison(codec: Codec, grams: object) -> None:
    with pytest.raises(Poison, match="ParcelWeighed"):
        codec.encode(ParcelWeighed(parcel_id="p1", grams=grams))  # type: ignore[arg-type]


def test_a_body_of_an_older_version_is_completed_by_its_upcast(codec: Codec) -> None:
    version_1 = Path(str(parcels.__file__)).parent / "parcel.commands" / "SendParcel.v1.avsc"
    schema = fastavro.schema.load_schema(str(version_1))
    body = io.BytesIO()
    fastavro.schemaless_writer(
        body, schema, {"parcelId": "p1", "sender": "anne", "article": "cup", "timestamp": 1}
    )
    old = struct.pack(">bI", 0, SEND_PARCEL_V1) + body.getvalue()

    assert codec.decode_value(old) == SendParcel(
        parcel_id="p1",
        sender="anne",
        article="cup",
        contents=(Content(article="cup", pieces=1),),
        timestamp=1,
    )


def test_a_message_of_a_package_that_was_not_given_is_no_poison_but_an_error_of_the_wiring() -> None:
    with pytest.raises(TypeError, match=r"parcels\.messages\.SendParcel is in no schema package"):
        Codec().encode(PARCEL)


def test_a_record_is_optional_where_its_schema_says_so(codec: Codec) -> None:
    bare = replace(PARCEL, insured=None)
    assert codec.decode_value(codec.encode(bare)) == bare
