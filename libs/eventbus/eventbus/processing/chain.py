"""What a service sends to itself, such as inventory's order half to its stock half: the transaction in which such a
message is sent decides it too, and what that leads to. The message is then not written: nobody has to read it. So
several hops cost one transaction, and the time and the records of one.

A message may be decided at once only if nothing older from this service stands unread in its input, or messages of
one key would change places. Who led the tasks before may have left some. So the first message to each partition is
written, and so is what follows it, until it is read: then all that stood before it is read too.

What cannot be decided at once is written, and read as any other message: what its rule fails on or makes nothing of,
whose key is parked, or whose task another replica leads. If the transaction aborts, all of this is forgotten with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from eventbus.model.places import Partition
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.outgoing import Outgoing, Written
from eventbus.processing.turn import Turn

HOPS = 2
"""How often a turn goes on with what it sends itself. What comes after that is written, so others get their turn."""


class Chain:
    """Has a turn decide what it sends to an input led here. Lives on the processor's thread."""

    def __init__(self, offsets: OffsetTracker, led: Callable[[], Collection[int]], most: int) -> None:
        """``led``: the tasks led. ``most``: messages that a turn goes on with at most, in each hop."""
        self._offsets, self._led, self._most = offsets, led, most
        self._last: dict[Partition, int] = {}
        """By input, the offset of the last message that was written to it here since the tasks led have changed."""

    def follow(self, turn: Turn, positions: Mapping[Partition, int]) -> None:
        """Have the turn decide what it sends itself, and what that sends; what is decided is not written any more.

        ``positions``: what the consumer reads next; all before that is decided, or waits for its turn.
        """
        seen = 0
        written: set[Partition] = set()
        for _ in range(HOPS):
            followed = 0
            fresh = turn.outgoing[seen:]
            if all(record.next is None for record in fresh):
                return
            del turn.outgoing[seen:]
            stays: list[Outgoing] = []
            for record in fresh:
                if record.next is None:
                    stays.append(record)
                elif (
                    followed < self._most
                    and record.place not in written
                    and self._may_be_next(record.place, positions)
                    and turn.follow(record.next)
                ):
                    followed += 1
                else:
                    written.add(record.place)
                    stays.append(record)
            turn.outgoing[seen:seen] = stays
            seen += len(stays)

    def committed(self, written: Written) -> None:
        """These are written, each at its offset: what is sent to their inputs stands behind them."""
        for record, offset in written:
            if record.next is not None:
                self._last[record.place] = max(offset, self._last.get(record.place, -1))

    def forget(self) -> None:
        """Other tasks are led from now on, or nobody knows how a transaction ended: something may stand unread."""
        self._last.clear()

    def _may_be_next(self, place: Partition, positions: Mapping[Partition, int]) -> bool:
        """Whether the input is led here, and nothing older that this service sent to it is unread."""
        last = self._last.get(place)
        return (
            last is not None
            and place.number in self._led()
            and self._offsets.reached(place, positions.get(place, -1)) > last
        )
