"""eventbus: deciders, reactors and projections on Apache Kafka, exactly once.

A service is a :class:`Service` of :class:`Decider` and :class:`Reactor`; :func:`serve` runs one replica of it.
"""

from eventbus.bus import Bus
from eventbus.decider import DeadlinePassed, Decider, Outcome, Projection, Reactor, Request, Table
from eventbus.errors import EventBusError, Fenced, Mismatch, Poison, Retryable, Unavailable
from eventbus.folding import Entry
from eventbus.messages import Command, Envelope, Event, Message, Position
from eventbus.runtime import Service, serve
from eventbus.settings import Settings
from eventbus.waiting import Held

__all__ = [
    "Bus",
    "Command",
    "DeadlinePassed",
    "Decider",
    "Entry",
    "Envelope",
    "Event",
    "EventBusError",
    "Fenced",
    "Held",
    "Message",
    "Mismatch",
    "Outcome",
    "Poison",
    "Position",
    "Projection",
    "Reactor",
    "Request",
    "Retryable",
    "Service",
    "Settings",
    "Table",
    "Unavailable",
    "serve",
]
