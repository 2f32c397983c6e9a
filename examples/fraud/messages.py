"""The messages of this package, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Event, message


@message(topic="fraud.events", key="order_id", schema="FraudSuspected.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class FraudSuspected(Event):
    """The order looks suspicious: a person should see it."""

    order_id: str
    user_id: str
    reason: str
    timestamp: int = 0


@message(topic="fraud.events", key="order_id", schema="OrderCleared.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCleared(Event):
    """The order was looked at, and nothing about it is suspicious."""

    order_id: str
    timestamp: int = 0
