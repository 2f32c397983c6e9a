"""Reads are answered only by a replica that knows how things stand."""

from __future__ import annotations

from typing import Protocol

from eventbus.model.errors import Unavailable

STALE = "this replica has not heard from Kafka lately and cannot say how things stand"


class Freshness(Protocol):
    """What is asked of a :class:`eventbus.Bus`."""

    def fresh(self) -> bool: ...


def require_fresh(bus: Freshness) -> None:
    """Raises Unavailable (503) if this replica has not heard from the brokers within a session timeout."""
    if not bus.fresh():
        raise Unavailable(STALE)
