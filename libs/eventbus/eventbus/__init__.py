"""eventbus: deciders, reactors and projections on Apache Kafka, exactly once.

A service is a :class:`Service` of :class:`Decider` and :class:`Reactor`; :func:`serve` runs one replica of it.
"""

from eventbus.access import Caller, Rule, Rules, Scope
from eventbus.causes import Question, Why
from eventbus.model.decider import DeadlinePassed, Decider, Outcome, Projection, Reactor, Request, Table
from eventbus.model.errors import (
    EventBusError,
    Fenced,
    Mismatch,
    Poison,
    Retryable,
    Unavailable,
    Unrepresentable,
)
from eventbus.model.folding import Entry
from eventbus.model.listing import Listing, Place, Row
from eventbus.model.messages import Command, Envelope, Event, Message, message
from eventbus.model.mirror import Mirror
from eventbus.model.places import Position
from eventbus.model.randomness import random_piece
from eventbus.model.requests import Answered, RequestId
from eventbus.service.bus import Bus
from eventbus.service.definition import Service
from eventbus.service.runtime import serve
from eventbus.settings import Settings
from eventbus.state.parked import HoldStatus

__all__ = [
    "Answered",
    "Bus",
    "Caller",
    "Command",
    "DeadlinePassed",
    "Decider",
    "Entry",
    "Envelope",
    "Event",
    "EventBusError",
    "Fenced",
    "HoldStatus",
    "Listing",
    "Message",
    "Mirror",
    "Mismatch",
    "Outcome",
    "Place",
    "Poison",
    "Position",
    "Projection",
    "Question",
    "Reactor",
    "Request",
    "RequestId",
    "Retryable",
    "Row",
    "Rule",
    "Rules",
    "Scope",
    "Service",
    "Settings",
    "Table",
    "Unavailable",
    "Unrepresentable",
    "Why",
    "message",
    "random_piece",
    "serve",
]
