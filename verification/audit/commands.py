"""The commands to the order service, and which of them have their answer. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from verification.audit.orders import REPEATS
from verification.audit.parked import ParkedLedger


class Command(NamedTuple):
    """A record of ``order.commands``. ``request``: the one that its id names, "" if it names none."""

    order: str
    name: str
    request: str


class CommandLedger:
    """Records of ``order.commands``, by partition and offset, and the events that name them as their cause."""

    def __init__(self, parked: ParkedLedger) -> None:
        self._parked = parked
        self._open: dict[tuple[int, int], Command] = {}
        """What has no answer so far."""
        self._requests: set[tuple[str, str]] = set()
        """Orders, each with a request that an event of the order answers."""
        self._answered_early: set[tuple[int, int]] = set()
        self._repeats: dict[str, list[int]] = {}
        """By order, the offsets of the commands whose answer is that they changed nothing."""

    def take(self, partition: int, offset: int, command: Command) -> None:
        """A command. Its answer may have been read before it: topics come in any order."""
        place = (partition, offset)
        if place in self._answered_early:
            self._answered_early.remove(place)
        else:
            self._open[place] = command

    def answer(self, partition: int, offset: int, order: str, request: str, *, repeats: bool) -> None:
        """An event that a command has caused. ``repeats``: it records that the command changed nothing."""
        if request:
            self._requests.add((order, request))
        if repeats:
            self._repeats.setdefault(order, []).append(offset)
        if self._open.pop((partition, offset), None) is None:
            self._answered_early.add((partition, offset))

    def unanswered(
        self, decided: Callable[[int], int], is_new: Callable[[str], bool]
    ) -> list[tuple[str, str]]:
        """Commands that were decided but left no event, though they should have: (order, place).

        ``decided`` gives the offset below which a partition is decided, ``is_new`` whether an order was never
        created.
        """
        done = [
            (command.order, f"order.commands-{partition}-{offset}")
            for (partition, offset), command in self._open.items()
            if offset < decided(partition) and not self._needs_no_event(command, partition, offset, is_new)
        ]
        return [(order, place) for order, place in done if not self._parked.is_parked("order", place)]

    def _needs_no_event(
        self, command: Command, partition: int, offset: int, is_new: Callable[[str], bool]
    ) -> bool:
        """Whether its request has an answer already, or ``REPEATS`` earlier events have recorded that commands of
        this order change nothing.

        A command that was parked was decided later than its offset says. One that creates an order always leaves an
        event.
        """
        order = command.order
        if (order, command.request) in self._requests:
            return True
        was_parked = self._parked.was_parked("order", f"order.commands-{partition}-{offset}")
        before = sum(1 for other in self._repeats.get(order, ()) if other < offset or was_parked)
        creates = command.name == "CreateOrder" and is_new(order)
        return before >= REPEATS and not creates
