"""The messages of this package, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Command, Event, Int32, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What one counter of a meter shows."""

    name: str
    units: Int32
    digits: Int32 = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a meter hangs."""

    city: str
    floor: Int32 | None = None
    indoors: bool = True


@message(topic="meter.commands", key="meter_id", schema="ReadMeter.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMeter(Command):
    """Record what a meter shows."""

    meter_id: str
    counters: tuple[Counter, ...] = ()
    note: str = ""
    timestamp: int = 0


@message(topic="meter.events", key="meter_id", schema="MeterRead.v2.1")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRead(Event):
    """A meter was read."""

    meter_id: str
    units: Int32 | None = None
    timestamp: int = 0
    version: str = "2.1"
    counters: tuple[Counter, ...] = ()
    note: str = ""
    place: Place | None = None
