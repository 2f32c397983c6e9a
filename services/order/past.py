"""An order as it was: the fold of its events up to a version or an instant."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import schemas
from eventbus import Bus, Decider, Entry, Message
from eventbus.http import INSTANT, Problem, instant, invalid
from services.order.problems import NO_SUCH_PAST
from services.order.state import Order, Status, evolve
from services.order.timeline import Timeline, from_camel_case_json

VERSION = r"[0-9]{1,9}"
PAST = rf"^{VERSION}$|{INSTANT}"
"""What `asOf` looks like."""
EVENTS: Mapping[str, type[Message]] = {
    cls.name: cls
    for cls in vars(schemas).values()
    if isinstance(cls, type) and issubclass(cls, Message) and getattr(cls, "topic", "") == "order.events"
}
"""The events of orders by their names."""


class Replayed(NamedTuple):
    """An order after one of its events, and that event's type, cause and body (JSON in camelCase)."""

    order: Entry[Order]
    type: str
    cause: str | None
    data: str


def replayed(bus: Bus, order_id: str, version: int) -> Replayed | None:
    """The order after the event of a version; None if this replica's timeline has no such event."""
    rows = bus.query(Timeline.up_to, (order_id, version))
    if not rows or rows[-1]["version"] != version:
        return None
    order, last = Order(), rows[-1]
    for row in rows:
        order = evolve(order, from_camel_case_json(EVENTS[row["type"]], row["data"]))
    return Replayed(Entry(order_id, version, order, last["time"]), last["type"], last["cause"], last["data"])


@dataclass(frozen=True)
class Past:
    """Reads the timelines that this replica has folded."""

    bus: Bus
    decider: Decider[Order]

    async def order(self, order_id: str, as_of: str, wait: float = 0) -> Entry[Order]:
        """The order after the event of a version, or after its last event at an instant or before (by ``time``).

        Raises Problem: 404 if there was no order by then, or it has no such version; 422 for an instant that is still
        to come, and if the client would ``wait``. Raises Unavailable if others may have shown what is not known here.
        """
        if wait:
            raise invalid([("wait", "has no meaning with asOf: what was does not change")])
        version = int(as_of) if re.fullmatch(VERSION, as_of) else None
        at = instant("asOf", as_of) if version is None else 0
        await self.bus.all_folded(self.decider.log)
        if version is None:
            version = self._version_at(order_id, at)
        found = replayed(self.bus, order_id, version)
        if (
            found is None or found.order.state.status is Status.NEW
        ):  # refused commands may come before the order
            raise _none(order_id, as_of)
        return found.order

    def _version_at(self, order_id: str, at: int) -> int:
        """The version at an instant (ms since epoch), 0 before the first event."""
        (row,) = self.bus.query(Timeline.at, (order_id, at))
        if at > time.time() * 1000 and at > (row["latest"] or 0):
            raise invalid([("asOf", "lies in the future")])
        return row["version"] or 0


def _none(order_id: str, as_of: str) -> Problem:
    return Problem(NO_SUCH_PAST, f"Order {order_id[:100]!r} has no event of {as_of[:40]} or before.")
