"""Starting positions: what a text means, and which inputs may begin later."""

from __future__ import annotations

import pytest

from eventbus import Decider, Message
from eventbus.model.errors import Misconfigured
from eventbus.model.start import start_of
from eventbus.processing.starting import later_topics
from parcels.messages import CourierBooked, ParcelSent, SendParcel

NOW = 1_750_000_000_000


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("earliest", "earliest"),
        ("now", "now"),
        ("1970-01-01T00:00:01Z", 1_000),
        ("2025-01-31T08:00:00.250Z", 1_738_310_400_250),
        ("2025-01-31 09:00:00.25+01:00", 1_738_310_400_250),
        # Kafka reads -1 as "the end" and -2 as "the beginning"
        ("1969-12-31T23:59:59.999Z", 0),
    ],
)
def test_a_text_names_a_starting_position(text: str, means: object) -> None:
    assert start_of(text, NOW) == means


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "NOW",
        "2025-01-31",
        "2025-01-31T08:00:00",
        "2025-02-30T08:00:00Z",
        "1738310400",
        "20250131T080000Z",
    ],
)
def test_another_text_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(Misconfigured, match="give earliest, now, or a time with its offset such as 2026"):
        start_of(text, NOW)


def test_a_time_to_come_is_refused() -> None:
    with pytest.raises(Misconfigured, match="in the future: give a time that has passed, or now"):
        start_of("2999-01-01T00:00:00Z", NOW)


def decider(log: str, *inputs: type[Message]) -> Decider[None]:
    return Decider(log, inputs, None, lambda message, state: [], lambda state, event: state)


def test_only_event_logs_of_other_services_begin_later() -> None:
    assert later_topics("courier", [decider("courier.events", ParcelSent)]) == {"parcel.events"}
    assert later_topics("courier", [decider("courier.events", SendParcel)]) == frozenset()
    # the log of another decider of the service, and what is addressed to the service
    halves = [decider("other.events", CourierBooked), decider("courier.events", ParcelSent)]
    assert later_topics("shop", halves) == {"parcel.events"}
    assert later_topics("parcel", [decider("notes.events", ParcelSent)]) == frozenset()
