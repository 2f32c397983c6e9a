"""The messages of this package, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Command, Event, Int32, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One line of a parcel's contents."""

    article: str
    pieces: Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class Insurance:
    """What is paid if the parcel is lost."""

    amount: int
    currency: str


@message(topic="courier.events", key="parcel_id", schema="CourierBooked.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CourierBooked(Event):
    """A courier comes for the parcel."""

    parcel_id: str
    timestamp: int = 0


@message(topic="courier.events", key="parcel_id", schema="CourierNoted.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CourierNoted(Event):
    """Something is noted about the parcel."""

    parcel_id: str
    note: str
    timestamp: int = 0


@message(topic="courier.events", key="parcel_id", schema="CourierRefused.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class CourierRefused(Event):
    """No courier comes for the parcel."""

    parcel_id: str
    reason: str
    timestamp: int = 0


@message(topic="parcel.commands", key="parcel_id", schema="RecallParcel.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecallParcel(Command):
    """Do not send a parcel after all."""

    parcel_id: str
    reason: str
    timestamp: int = 0


@message(topic="parcel.commands", key="parcel_id", schema="SendParcel.v2")
@dataclass(frozen=True, slots=True, kw_only=True)
class SendParcel(Command):
    """Send a parcel."""

    parcel_id: str
    sender: str
    article: str | None = None
    contents: tuple[Content, ...] = ()
    insured: Insurance | None = None
    timestamp: int = 0


@message(topic="parcel.events", key="parcel_id", schema="ParcelLost.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelLost(Event):
    """A parcel is lost: nothing more is done about it."""

    parcel_id: str
    reason: str
    timestamp: int = 0


@message(topic="parcel.events", key="parcel_id", schema="ParcelSent.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelSent(Event):
    """A parcel was handed in: a courier is to be booked."""

    parcel_id: str
    sender: str
    timestamp: int = 0


@message(topic="parcel.events", key="parcel_id", schema="ParcelWeighed.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelWeighed(Event):
    """A parcel was put on the scales."""

    parcel_id: str
    grams: int
    timestamp: int = 0
