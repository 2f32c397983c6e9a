"""The events that commands sent from here led to, kept for the senders who wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self
from weakref import WeakValueDictionary

from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Partition, Position

EARLY_BYTES = 4_000_000
"""Encoded size of the events kept for senders who do not know yet where their command stands."""


class Answer:
    """The events that one command led to so far. ``lost``: there were more than could be kept."""

    __slots__ = ("__weakref__", "events", "lost")

    def __init__(self, events: Sequence[Message] = (), lost: bool = False) -> None:
        self.events, self.lost = list(events), lost


class Sent(Position):
    """Where a command stands that was sent from here. Its answer is kept while somebody holds this."""

    answer: Answer

    def __new__(cls, topic: str, partition: int, offset: int, answer: Answer) -> Self:
        sent = super().__new__(cls, topic, partition, offset)
        sent.answer = answer
        return sent


class Answers:
    """Events by the command that they answer. Not safe for threads: its owner holds a lock.

    The processor may publish an event before the sender knows the offset of its command. So events that answer a
    record of a partition are kept while a command is on its way there, up to ``EARLY_BYTES`` in all.
    """

    def __init__(self) -> None:
        self._answers: WeakValueDictionary[tuple[Partition, int], Answer] = WeakValueDictionary()
        self._under_way: dict[Partition, int] = {}
        """How many commands are on their way to a partition: their offsets are not known yet."""
        self._early: dict[Partition, dict[int, list[Envelope]]] = {}
        self._early_bytes = 0
        self._lost: dict[Partition, int] = {}
        """The highest offset whose events were dropped while a command was on its way to the partition."""

    def are_asked_for(self) -> bool:
        """Whether any sender holds a command, or may yet do so: else no event need be added."""
        return bool(self._answers) or bool(self._under_way)

    def expect(self, partition: Partition) -> None:
        """A command is about to be written to ``partition``; :meth:`placed` must follow."""
        self._under_way[partition] = self._under_way.get(partition, 0) + 1

    def placed(self, partition: Partition, offset: int | None) -> Answer:
        """An expected command stands at ``offset``; None: it was not written, or nobody knows where it stands.

        Commands to one partition must be reported in the order of their offsets.
        """
        early, lost = self._early.get(partition, {}), self._lost.get(partition, -1)
        answer = Answer()
        if offset is not None:
            answer = Answer([event.message for event in early.get(offset, ())], offset <= lost)
            self._answers[partition, offset] = answer
        self._under_way[partition] -= 1
        is_last = not self._under_way[partition]
        for passed in [o for o in early if is_last or (offset is not None and o <= offset)]:
            self._drop(partition, passed)
        if is_last:
            for by_partition in (self._under_way, self._early, self._lost):
                by_partition.pop(partition, None)
        return answer

    def add(self, partition: Partition, offset: int, event: Envelope) -> None:
        """``event`` answers the record at ``offset``: keep it if a sender holds that command, or may yet do so."""
        if answer := self._answers.get((partition, offset)):
            answer.events.append(event.message)
        elif partition in self._under_way:
            early = self._early.setdefault(partition, {})
            early.setdefault(offset, []).append(event)
            self._early_bytes += event.size
            while early and self._early_bytes > EARLY_BYTES:
                self._drop(partition, min(early))

    def _drop(self, partition: Partition, offset: int) -> None:
        self._early_bytes -= sum(event.size for event in self._early[partition].pop(offset))
        self._lost[partition] = max(offset, self._lost.get(partition, -1))
