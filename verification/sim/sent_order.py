"""Checks that what a task sends to a key is decided in the order in which it was sent, from the transactions alone.

A message that is decided as soon as it is sent must not pass an older one that the same task wrote to the same key,
and that nobody has decided yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from eventbus.model.places import UNWRITTEN, Partition, Position
from verification.sim.broker import Stored, Transaction

if TYPE_CHECKING:
    from verification.sim.simulation import Simulation

FIRST_HOP = 3
"""Slashes in the id of an event that answers a message which a record led to at once: not over another message."""


class _Sent(NamedTuple):
    task: int
    key: bytes | None
    offset: int


class Journal:
    """What each task has sent to inputs of its own service, and nobody has decided, after each transaction."""

    def __init__(self, simulation: Simulation) -> None:
        self._codec = simulation.codec
        deciders = {name: service.start(lambda: 0) for name, service in simulation.services.items()}
        self._inputs = {name: {cls.topic for d in ds for cls in d.inputs} for name, ds in deciders.items()}
        self._logs = {d.log for ds in deciders.values() for d in ds}
        self._unread: dict[Partition, list[_Sent]] = {}

    def take(self, transaction: Transaction) -> Iterator[str]:
        """The rules that one transaction breaks."""
        for offsets in transaction.offsets.values():
            for (topic, number), upto in offsets.items():
                place = Partition(topic, number)
                self._unread[place] = [s for s in self._unread.get(place, []) if s.offset >= upto]
        for record in transaction.records:
            yield from self._overtaken(record)
        for record in transaction.records:
            service = dict(record.headers).get("ce_source", b"") or b""
            if record.topic in self._inputs.get(service.decode().removeprefix("/"), ()):
                cause = Position.parse(self._codec.decode(record.raw()).cause or "")
                sent = _Sent(cause.partition, record.key, record.offset)
                self._unread.setdefault(Partition(record.topic, record.partition), []).append(sent)

    def _overtaken(self, record: Stored) -> Iterator[str]:
        if record.topic not in self._logs:
            return
        event = self._codec.decode(record.raw())
        cause, led_by = Position.parse(event.cause or ""), Position.parse(event.led_by or "")
        if not cause.topic.endswith(UNWRITTEN) or event.id.count("/") != FIRST_HOP:
            return
        place = Partition(cause.topic.removesuffix(UNWRITTEN), cause.partition)
        for sent in self._unread.get(place, []):
            if (sent.task, sent.key) == (led_by.partition, record.key):
                yield f"overtaken: {event.id} was decided before {place}-{sent.offset}, which was sent before"
