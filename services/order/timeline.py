"""What is stored beside the state of an order: its timeline, and counts of all orders and lines under way."""

from __future__ import annotations

import re
import sqlite3
import types
import typing
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import msgspec

from eventbus import Envelope, Message
from schemas import (
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderFailed,
    OrderReservationFailed,
    OrderReserved,
)

M = TypeVar("M", bound=Message)
ANSWERED = (OrderReserved, OrderReservationFailed, OrderFailed, OrderCancelled)
"""Events after which the order waits for its reservation no more."""


class Timeline:
    """A projection of ``order.events``: one row an event; ``data`` is its body as JSON, in camelCase.

    ``user_id`` is null on what came before OrderCreated: refusals of wishes about an order that did not exist yet.
    A tally counts, for each partition, the orders created and settled (the difference is open), and the lines of
    orders whose reservation inventory has not answered.
    """

    tables = """
CREATE TABLE IF NOT EXISTS order_timeline (order_id TEXT, version INTEGER, user_id TEXT, type TEXT NOT NULL,
    time INTEGER NOT NULL, cause TEXT, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    position INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (order_id, version));
CREATE INDEX IF NOT EXISTS order_timeline_of_user ON order_timeline (user_id, partition, position);
CREATE TABLE IF NOT EXISTS order_tally (partition INTEGER PRIMARY KEY, created INTEGER NOT NULL,
    settled INTEGER NOT NULL, lines INTEGER NOT NULL)
"""

    insert = "INSERT OR REPLACE INTO order_timeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    insert_of_known_order = """
INSERT OR REPLACE INTO order_timeline VALUES (?1, ?2,
    (SELECT user_id FROM order_timeline WHERE order_id = ?1 AND user_id IS NOT NULL LIMIT 1),
    ?4, ?5, ?6, ?7, ?8, ?9, ?10)
"""
    """For an event that does not name its user: the one that an earlier event of the order names."""

    select = """
SELECT version, type, time, cause, topic, partition, position, data
FROM order_timeline WHERE order_id = ? AND version > ? ORDER BY version LIMIT ?
"""
    """Of one order, the events after a version, so many at most."""

    up_to = """
SELECT version, type, time, cause, data FROM order_timeline WHERE order_id = ? AND version <= ? ORDER BY version
"""
    """Of one order, the events up to a version."""

    at = """
SELECT max(version) FILTER (WHERE time <= ?2) AS version, max(time) AS latest FROM order_timeline WHERE order_id = ?1
"""
    """Of one order, the version at an instant, and the time of its latest event."""

    of_user = """
SELECT version, type, time, cause, topic, partition, position, data
FROM order_timeline WHERE user_id = ? AND partition = ? AND position >= ? ORDER BY position LIMIT ?
"""
    """Of all orders of a user in one partition, the events from an offset on, so many at most."""

    added = "SELECT rowid AS row, user_id, partition FROM order_timeline WHERE rowid > ?"
    """What this replica has folded since a row."""

    last_added = "SELECT coalesce(max(rowid), 0) AS row FROM order_timeline"

    tally = """
SELECT coalesce(sum(created), 0) AS created, coalesce(sum(settled), 0) AS settled, coalesce(sum(lines), 0) AS lines
FROM order_tally
"""
    """All orders so far, on all partitions."""

    def apply(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        """Add the event's row. An event without a version was not written by a processor and belongs to no order."""
        if envelope.key_version is None:
            return
        event = envelope.message
        db.execute(
            self.insert if hasattr(event, "user_id") else self.insert_of_known_order,
            (
                event.key,
                envelope.key_version,
                getattr(event, "user_id", None),
                event.name,
                envelope.time,
                envelope.cause,
                envelope.topic,
                envelope.partition,
                envelope.offset,
                camel_case_json(event),
            ),
        )
        self._count(db, envelope)

    def _count(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        event = envelope.message
        created, settled = isinstance(event, OrderCreated), self._settles(db, event)
        lines = len(event.items) if isinstance(event, OrderCreated) else -self._lines_answered(db, envelope)
        if created or settled or lines:
            db.execute(
                "INSERT INTO order_tally VALUES (?, ?, ?, ?) ON CONFLICT (partition) DO UPDATE SET "
                "created = created + excluded.created, settled = settled + excluded.settled, "
                "lines = lines + excluded.lines",
                (envelope.partition, int(created), int(settled), lines),
            )

    def _lines_answered(self, db: sqlite3.Connection, envelope: Envelope) -> int:
        """The lines of the order, if this is the first event after which it waits for its reservation no more."""
        if not isinstance(envelope.message, ANSWERED):
            return 0
        names = ", ".join(f"'{cls.name}'" for cls in ANSWERED)
        found = db.execute(
            "SELECT json_array_length(data, '$.items') FROM order_timeline WHERE order_id = ?1 AND type = ?2 AND NOT "
            f"EXISTS (SELECT 1 FROM order_timeline WHERE order_id = ?1 AND version < ?3 AND type IN ({names}))",
            (envelope.message.key, OrderCreated.name, envelope.key_version),
        ).fetchone()
        return 0 if found is None else int(found[0])

    def _settles(self, db: sqlite3.Connection, event: Message) -> bool:
        """Whether the event settles its order; one that was confirmed and cancelled later settles only once."""
        if isinstance(event, OrderCancelled):
            confirmed = "SELECT 1 FROM order_timeline WHERE order_id = ? AND type = ?"
            return db.execute(confirmed, (event.order_id, OrderConfirmed.name)).fetchone() is None
        return isinstance(event, OrderConfirmed | OrderFailed)


def camel_case_json(message: Message) -> str:
    """The body of a message as JSON, its fields and those of the records in it in camelCase."""
    of_message: Any = type(message)
    body = msgspec.convert(message, _in_camel_case(of_message), from_attributes=True)
    return msgspec.json.encode(body, enc_hook=str).decode()  # a subclass of str is text too


def from_camel_case_json(kind: type[M], text: str) -> M:
    """The message of which :func:`camel_case_json` made this text. A field that it lacks has its default."""
    return msgspec.convert(_in_snake_case(msgspec.json.decode(text)), kind)


def _in_snake_case(body: Any) -> Any:
    if isinstance(body, list):
        return [_in_snake_case(one) for one in body]
    if not isinstance(body, dict):
        return body
    return {
        re.sub("[A-Z]", lambda c: f"_{c[0].lower()}", name): _in_snake_case(v) for name, v in body.items()
    }


@lru_cache(maxsize=1_000)
def _in_camel_case(hint: Any) -> Any:
    """A type with the fields of ``hint``, whose names in JSON are in camelCase."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return types.GenericAlias(tuple, (_in_camel_case(arguments[0]), ...))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.Union[tuple(_in_camel_case(one) for one in arguments)]  # noqa: UP007 - made at run time
    hints = typing.get_type_hints(hint) if isinstance(hint, type) else {}
    fields = [(n, _in_camel_case(h)) for n, h in hints.items() if typing.get_origin(h) is not ClassVar]
    return msgspec.defstruct(hint.__name__, fields, rename="camel") if fields else hint
