"""The messages of this package, one class a message, in its latest version.

Generated from the .avsc files of this directory, which also say what each field means, by
``python -m tools.generate_messages``. Do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbus.model.messages import Command, Int32, message


@message(topic="admin", key="message_key", schema="Discard.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Discard(Command):
    """Never decide a parked key's messages."""

    message_key: str
    log: str | None = None
    count: Int32 | None = None
    timestamp: int = 0


@message(topic="admin", key="message_key", schema="Redrive.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive(Command):
    """Put a parked key's dead message back to work, and what waits behind it."""

    message_key: str
    log: str | None = None
    timestamp: int = 0


@message(topic="eventbus.skips", key="record", schema="Skip.v1")
@dataclass(frozen=True, slots=True, kw_only=True)
class Skip(Command):
    """Set a record aside: nothing is folded from it, and it is not decided."""

    record: str
    reason: str
    timestamp: int = 0
