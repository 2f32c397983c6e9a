"""What a service sends to itself, such as inventory's order half to its stock half: the transaction that writes such
a message decides it too, and what that leads to. So several hops cost one transaction, and the time of one.

A message may be decided before it is read only if it is the *next* one of its input: all that stands before it in
its partition is decided here. The offset at which the message was written shows that, since Kafka gives offsets
without a gap. Only the marker that ended the last transaction takes an offset too. If anybody else wrote in between,
the message waits until it is read, as any other does.

To learn that offset costs a way to the broker and back, for each hop. A replica that leads all tasks of its service
is mostly the only one who writes to these inputs, so it foresees the offset, goes on at once, and looks before the
commit whether it was right. If it was not, the transaction aborts.

If the transaction aborts, all of this is forgotten with it, and decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from eventbus.kafka.transactions import Aborted
from eventbus.model.decider import Reactor
from eventbus.model.places import Partition
from eventbus.model.record import Raw
from eventbus.processing.context import TurnContext
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.outgoing import Outgoing, Written

HOPS = 2
"""How often a transaction goes on with what it wrote itself. Each makes it longer, and others wait for its end."""
DOUBT = 60.0
"""Seconds for which offsets are not foreseen, after a time when it went wrong: somebody else writes there too."""


class Chain:
    """Finds what a transaction can go on with. Lives on the processor's thread."""

    def __init__(
        self,
        context: TurnContext,
        led: Callable[[], Collection[int]],
        partitions: int,
        most: int,
        monotonic: Callable[[], float],
    ) -> None:
        """``led``: the tasks led, of ``partitions`` in all. ``most``: messages that one transaction goes on with at
        most."""
        self._led, self._partitions, self._most = led, partitions, most
        self._clock, self._monotonic = context.clock, monotonic
        self._offsets: OffsetTracker = context.offsets
        # A reactor's call would outlast the transaction, so what it takes is read.
        self._topics = {
            topic
            for topic, takers in context.router.takers.items()
            if not any(isinstance(taker, Reactor) for taker in takers)
        }
        self._last: dict[Partition, int] = {}
        """The offset of the last record that this replica committed to an input, and that nothing aborted follows."""
        self._foreseen: list[tuple[Outgoing, int]] = []
        """What this transaction went on with before it was written, each with the offset that it must get."""
        self._certain_from = monotonic()

    def concerns(self, outgoing: Iterable[Outgoing], positions: Mapping[Partition, int]) -> bool:
        """Whether something of this may be next in an input led here. It is not, behind own messages that are not
        read yet."""
        places = {record.place for record in outgoing if self._is_input(record)}
        return any(self._reached(place, positions) > self._last.get(place, -1) for place in places)

    def foresee(self, outgoing: Iterable[Outgoing], positions: Mapping[Partition, int]) -> list[Raw] | None:
        """Those of the records that will be next in an input led here if nobody else writes to it meanwhile. They
        count as read; :meth:`check` is to be called before the commit. None if that is not sure enough.

        ``positions``: what the consumer reads next.
        """
        if len(self._led()) < self._partitions or self._monotonic() < self._certain_from:
            return None
        records = [record for record in outgoing if self._is_input(record)]
        if len(records) > self._most:
            return None
        gone_on = {record.place for record, _ in self._foreseen}
        ends: dict[Partition, int] = {}
        for place in {record.place for record in records}:
            end = (
                self._reached(place, positions) if place in gone_on else self._after_marker(place, positions)
            )
            if end is None:
                return None
            ends[place] = end
        found: list[Raw] = []
        for record in records:
            offset = ends[record.place]
            ends[record.place] = offset + 1
            self._offsets.pass_over(record.place, offset + 1)
            self._foreseen.append((record, offset))
            found.append(self._raw(record, offset))
        return found

    def next(self, written: Written, positions: Mapping[Partition, int]) -> list[Raw]:
        """Those of the records, each with its offset, that are next in an input led here: they count as read.

        ``positions``: what the consumer reads next.
        """
        found: list[Raw] = []
        for record, offset in written:
            place = record.place
            if len(found) < self._most and self._is_input(record) and self._is_next(place, offset, positions):
                self._offsets.pass_over(place, offset + 1)
                found.append(self._raw(record, offset))
        return found

    @property
    def foresaw(self) -> bool:
        """Whether this transaction went on with what was not written yet."""
        return bool(self._foreseen)

    def check(self, written: Written) -> None:
        """Raises Aborted if something stands elsewhere than was foreseen, or is not written yet."""
        stands = {id(record): offset for record, offset in written}
        wrong = [(record, offset) for record, offset in self._foreseen if stands.get(id(record)) != offset]
        if wrong:
            self._certain_from = self._monotonic() + DOUBT
            record, offset = wrong[0]
            raise Aborted(
                f"an own message in {record.place} was foreseen at {offset}, and stands at "
                f"{stands.get(id(record), 'no known offset yet')}: somebody else writes there, or the broker is slow"
            )

    def committed(self, written: Written) -> None:
        """A transaction has committed: its marker follows each of these."""
        self._foreseen.clear()
        for record, offset in written:
            if record.topic in self._topics:
                self._last[record.place] = max(offset, self._last.get(record.place, -1))

    def aborted(self) -> None:
        """A transaction was aborted, or nobody knows how it ended: what it wrote may stand behind the last record."""
        self._foreseen.clear()
        self._last.clear()

    def _after_marker(self, place: Partition, positions: Mapping[Partition, int]) -> int | None:
        """The offset that the next record of an input gets, if this replica alone writes to it: behind its last one
        and the marker of that. None if others wrote behind that one, or there is none."""
        last = self._last.get(place)
        if last is None:
            return None
        # The consumer may have read the marker, or not.
        return last + 2 if self._reached(place, positions) in (last + 1, last + 2) else None

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
