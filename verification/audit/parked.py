"""Parked messages, from the retry topics: they wait for their next try, behind another of their key, or for a
person."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eventbus.model.record import Raw
from eventbus.processing.own_log import PartitionOf, parked_message
from eventbus.retry.parked import State
from tools.registry import SERVICES
from verification.audit.findings import DeadLetter, Undecided

LOGS = {service.retry: service.logs for service in SERVICES}
"""Each retry topic, and the logs whose messages may wait there."""
RETRIES = tuple(LOGS)


class ParkedLedger:
    """The latest state of every message that was ever parked, by service and the place it came from."""

    def __init__(self, order_of: Callable[[Raw], str], partition_of: PartitionOf) -> None:
        self._order_of, self._partition_of = order_of, partition_of
        self._states: dict[tuple[str, str], State] = {}
        self._waiting: dict[tuple[str, str], Undecided] = {}
        self._dead: dict[tuple[str, str], str] = {}

    def take(self, record: Raw) -> None:
        """Fold one record of a retry topic. Raises Foreign for what its service did not write there, and
        Doubtful for what newer code of it may have written."""
        service = record.topic.removesuffix(".retry")
        parked = parked_message(record, self._partition_of, lambda log: log in LOGS[record.topic])
        raw = parked.raw
        place = (service, raw.coordinates)
        self._states[place] = parked.state
        self._waiting.pop(place, None)
        self._dead.pop(place, None)
        order = self._order_of(raw)
        if not (order and parked.state.open) or service == "notification":
            return
        if parked.state is State.DEAD:
            self._dead[place] = order
        else:
            self._waiting[place] = Undecided(
                service, raw.topic, raw.partition, raw.offset, order, raw.timestamp, parked.attempt
            )

    def waiting(self) -> Iterator[Undecided]:
        """Messages that wait for their next try or behind another. Those of orders with a dead letter are left out:
        such an order waits for a person in any case."""
        dead = set(self._dead.values())
        return (waits for waits in self._waiting.values() if waits.order not in dead)

    def is_parked(self, service: str, origin: str) -> bool:
        """Whether the message from ``origin`` is parked there, dead or alive."""
        state = self._states.get((service, origin))
        return state is not None and state.open

    def was_parked(self, service: str, origin: str) -> bool:
        """Whether the message from ``origin`` was ever parked there."""
        return (service, origin) in self._states

    def is_over(self, letter: DeadLetter) -> bool:
        """Whether a dead letter was redriven and has been decided since."""
        return self._states.get((letter.service, letter.origin)) is State.RESOLVED

    def is_discarded(self, letter: DeadLetter) -> bool:
        """Whether a person has decided to discard it."""
        return self._states.get((letter.service, letter.origin)) is State.DISCARDED
