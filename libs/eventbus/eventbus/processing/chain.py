"""What a service sends to itself, such as inventory's order half to its stock half: the transaction that writes such
a message decides it too, and what that leads to. So several hops cost one transaction, and the time of one.

A message may be decided before it is read only if it is the *next* one of its input: all that stands before it in
its partition is decided here. The offset at which the message was written shows that, since Kafka gives offsets
without a gap. Only the marker that ended the last transaction takes an offset too. If anybody else wrote in between,
the message waits until it is read, as any other does.

If the transaction aborts, all of this is forgotten with it, and decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from eventbus.model.decider import Reactor
from eventbus.model.places import Partition
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.outgoing import Outgoing, Written

HOPS = 2
"""How often a transaction goes on with what it wrote itself. Each makes it longer, and others wait for its end."""


class Chain:
    """Finds what a transaction can go on with. Lives on the processor's thread."""

    def __init__(self, context: TurnContext, led: Callable[[], Collection[int]], most: int) -> None:
        """``led``: the tasks led. ``most``: messages that one transaction goes on with at most."""
        self._led, self._most, self._clock = led, most, context.clock
        self._offsets: OffsetTracker = context.offsets
        # A reactor's call would outlast the transaction, so what it takes is read.
        self._topics = {
            topic
            for topic, takers in context.router.takers.items()
            if not any(isinstance(taker, Reactor) for taker in takers)
        }
        self._last: dict[Partition, int] = {}
        """The offset of the last record that this replica committed to an input."""

    def concerns(self, outgoing: Iterable[Outgoing], positions: Mapping[Partition, int]) -> bool:
        """Whether something of this may be next in an input led here. It is not, behind own messages that are not
        read yet."""
        places = {Partition(record.topic, record.partition) for record in outgoing if self._is_input(record)}
        return any(self._reached(place, positions) > self._last.get(place, -1) for place in places)

    def next(self, written: Written, positions: Mapping[Partition, int]) -> list[Raw]:
        """Those of the records, each with its offset, that are next in an input led here: they count as read.

        ``positions``: what the consumer reads next.
        """
        found: list[Raw] = []
        for record, offset in written:
            place = Partition(record.topic, record.partition)
            if len(found) < self._most and self._is_input(record) and self._is_next(place, offset, positions):
                self._offsets.pass_over(place, offset + 1)
                found.append(self._raw(record, offset))
        return found

    def committed(self, written: Written) -> None:
        """A transaction has committed: its marker follows each of these."""
        for record, offset in written:
            if record.topic in self._topics:
                place = Partition(record.topic, record.partition)
                self._last[place] = max(offset, self._last.get(place, -1))

    def _is_input(self, record: Outgoing) -> bool:
        return record.topic in self._topics and record.partition in self._led()

    def _is_next(self, place: Partition, offset: int, positions: Mapping[Partition, int]) -> bool:
        upto = self._reached(place, positions)
        if offset == upto + 1:
            # One offset lies between. It is that of the marker, if the record before it is our last: that
            # transaction had its markers everywhere before this one could begin.
            return self._last.get(place) == upto - 1
        return offset == upto

    def _reached(self, place: Partition, positions: Mapping[Partition, int]) -> int:
        return self._offsets.reached(place, positions.get(place, -1))

    def _raw(self, record: Outgoing, offset: int) -> Raw:
        return Raw(
            record.topic,
            record.partition,
            offset,
            record.key,
            record.value,
            record.headers,
            self._clock(),
        )
