"""Most records that a service reads are events that none of its deciders takes. Headers alone tell which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.codec import Codec
from eventbus.model.errors import Poison
from eventbus.model.record import Headers, Raw
from eventbus.processing.context import Router
from parcels.decider import decider
from parcels.messages import ParcelSent
from testbed.bench import REACTOR, sent

CODEC = Codec("parcels")
ROUTER = Router([decider, REACTOR], CODEC)
TAKEN = "ParcelSent"
TYPES = st.sampled_from(
    [None, b"", TAKEN.encode(), b"CourierNoted", b"ParcelLost", b"SendParcel", b"\xff\xfe"]
)
HEADERS = st.lists(st.tuples(st.sampled_from(["ce_type", "ce_id"]), TYPES), max_size=4)
TOPICS = ("parcel.events", "parcel.commands", "parcel.admin", "other.events")


@given(st.sampled_from(TOPICS), HEADERS)
def test_what_is_passed_by_is_what_would_be_for_no_decider(topic: str, headers: Headers) -> None:
    if ROUTER.passes_by(topic, headers):
        assert not ROUTER.route(Raw(topic, 0, 0, b"a", CODEC.encode(sent("a")), headers, 0))


@pytest.mark.parametrize(
    ("headers", "passed"),
    [
        ([("ce_type", b"CourierNoted")], True),
        ([("ce_type", b"OfNewerCode")], True),
        ([("ce_type", TAKEN.encode())], False),
        ([("ce_type", b"CourierNoted"), ("ce_type", TAKEN.encode())], False),
        ([("ce_type", TAKEN.encode()), ("ce_type", b"CourierNoted")], True),
        ([("ce_type", b"CourierNoted"), ("ce_type", None)], False),
        ([], False),
    ],
    ids=["another", "newer", "taken", "last taken", "last another", "last empty", "none"],
)
def test_an_event_is_judged_by_its_last_type(headers: Headers, passed: bool) -> None:
    assert ROUTER.passes_by(ParcelSent.topic, headers) is passed


@pytest.mark.parametrize("topic", ["parcel.commands", "parcel.admin", "other.events"])
def test_what_is_no_event_of_a_topic_that_is_read_is_never_passed_by(topic: str) -> None:
    """A command is for somebody, and an unknown one is a dead letter."""
    assert not ROUTER.passes_by(topic, [("ce_type", b"CourierNoted")])


def test_a_command_that_nobody_takes_is_refused() -> None:
    with pytest.raises(Poison, match="takes no ReturnParcel"):
        ROUTER.route(Raw("parcel.commands", 0, 0, b"a", None, [("ce_type", b"ReturnParcel")], 0))
