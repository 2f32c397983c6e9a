"""The rules of parcels, pure: a parcel is sent once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventbus import Decider, Event
from parcels.messages import ParcelSent, SendParcel


@dataclass(frozen=True)
class Parcel:
    """Who sent it; "" before it was sent."""

    sender: str = ""


def decide(command: SendParcel, parcel: Parcel) -> Sequence[Event]:
    """No events means that the parcel was sent before."""
    return [] if parcel.sender else [ParcelSent(parcel_id=command.parcel_id, sender=command.sender)]


def evolve(_: Parcel, event: ParcelSent) -> Parcel:
    return Parcel(event.sender)


decider = Decider("parcel.events", (SendParcel,), Parcel(), decide, evolve)
