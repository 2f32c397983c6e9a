"""What is computed once of a record and of a work item is never that of another."""

from __future__ import annotations

import pytest
from msgspec import structs

from eventbus import Envelope
from eventbus.headers import rfc3339
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.work import WorkItem
from parcels.decider import decider
from parcels.messages import ParcelSent

RAW = Raw("parcel.events", 2, 7, b"p1", b"x", [("ce_id", b"a"), ("ce_type", b"ParcelSent")], 5)


def test_a_record_that_is_changed_has_its_own_coordinates_and_headers() -> None:
    assert (RAW.coordinates, RAW.header("ce_id")) == ("parcel.events-2-7", "a")
    other = RAW._replace(offset=8, headers=[("ce_id", b"b")])
    assert (other.coordinates, other.header("ce_id"), other.header("ce_type")) == (
        "parcel.events-2-8",
        "b",
        None,
    )
    assert (RAW.coordinates, RAW.header("ce_id")) == ("parcel.events-2-7", "a")


def test_what_was_asked_of_a_record_does_not_make_it_another() -> None:
    asked, fresh = RAW._replace(), RAW._replace()
    assert asked.coordinates and asked.named
    assert asked == fresh == tuple(RAW)
    assert repr(asked) == repr(fresh)


def test_of_several_headers_with_one_name_the_last_that_has_a_value_is_told() -> None:
    headers = [("a", b"1"), ("a", b"2"), ("a", None), ("b", None), ("c", b"\xff")]
    told = RAW._replace(headers=headers)
    assert [told.header(name) for name in "abcd"] == ["2", None, "\ufffd", None]


def test_a_work_item_that_is_changed_is_about_its_own_entity() -> None:
    item = WorkItem(decider, RAW, "p1", ParcelSent(parcel_id="p1", sender="anne"), "c")
    assert item.entity == Entity("parcel.events", "p1")
    assert structs.replace(item, key="p2").entity == Entity("parcel.events", "p2")
    assert item != structs.replace(item), "each stands for itself"


def test_a_time_is_written_as_it_is_whatever_was_written_before() -> None:
    times = [0, 1, 999, 1_000, 1_700_000_000_123, 1_700_000_000_124, 0]
    assert [rfc3339(time)[-7:] for time in times] == [
        "00.000Z", "00.001Z", "00.999Z", "01.000Z", "20.123Z", "20.124Z", "00.000Z",
    ]  # fmt: skip


def test_an_envelope_is_frozen_and_equals_one_that_was_not_encoded_yet() -> None:
    read = Envelope(
        ParcelSent(parcel_id="p1", sender="anne"), "i", 1, "/p", "c", None, 1, None, "t", 0, 3, size=9
    )
    sent = structs.replace(read, size=0)
    assert read == sent
    assert read != structs.replace(read, offset=4)
    assert read != "i"
    with pytest.raises(AttributeError):
        read.offset = 4  # type: ignore[misc]
