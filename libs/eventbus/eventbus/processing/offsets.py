"""How far the input of the tasks led has come."""

from __future__ import annotations

from collections.abc import Mapping

from eventbus.model.places import Partition
from eventbus.model.record import Raw


class OffsetTracker:
    """Four offsets say how far an input partition has come:

    - *position*: what the consumer reads next. The consumer knows it.
    - *decided*: everything before it is decided. It is the position, unless an earlier message is unfinished,
      because it waits for an answer from outside.
    - *concluded*: what was decided when the last turn ended. A task is handed over there, in the middle of a poll.
    - *committed*: where the consumer group stands in Kafka; negative if it never committed.
    """

    def __init__(self) -> None:
        self._committed: dict[Partition, int] = {}
        self._concluded: dict[Partition, int] = {}
        self._passed: dict[Partition, int] = {}
        """Offsets before which everything is passed over, since it is unreadable. The consumer's position does not
        show them."""
        self._unfinished: dict[Partition, dict[int, int]] = {}
        """By offset, how many deciders have not finished the record. Offsets are in rising order."""

    def lead(self, partition: Partition, committed: int) -> None:
        """The task of a partition is about to be led; its input goes on from ``committed``."""
        self._committed[partition] = committed

    def start(self, raw: Raw) -> None:
        """A decider is about to decide a record."""
        offsets = self._unfinished.setdefault(Partition(raw.topic, raw.partition), {})
        offsets[raw.offset] = offsets.get(raw.offset, 0) + 1

    def finish(self, raw: Raw) -> None:
        """A decider has decided a record."""
        offsets = self._unfinished.get(Partition(raw.topic, raw.partition), {})
        if offsets.get(raw.offset, 0) > 1:
            offsets[raw.offset] -= 1
        else:
            offsets.pop(raw.offset, None)

    def unfinished(self) -> int:
        """How many records are not finished."""
        return sum(len(offsets) for offsets in self._unfinished.values())

    def pass_over(self, partition: Partition, after: int) -> None:
        """The records before ``after`` are not to be decided: they are unreadable."""
        self._passed[partition] = after

    def has_passed(self, partition: Partition, offset: int) -> bool:
        """Whether the record or batch at ``offset`` was passed over already."""
        return offset < self._passed.get(partition, 0)

    def decided(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """The offset of each partition before which everything is decided, given the consumer's positions."""
        decided: dict[Partition, int] = {}
        for partition, position in positions.items():
            first = self._first_unfinished(partition)
            upto = self._beyond(partition, position) if first is None else first
            if upto >= 0:
                decided[partition] = upto
        return decided

    def _beyond(self, partition: Partition, position: int) -> int:
        return max(position, self._passed.get(partition, -1))

    def reached(self, partition: Partition, position: int) -> int:
        """The offset before which everything was taken, given the consumer's position (negative: unknown)."""
        return max(self._beyond(partition, position), self._committed.get(partition, -1), 0)

    def _first_unfinished(self, partition: Partition) -> int | None:
        return next(iter(self._unfinished.get(partition, ())), None)

    def moved(self, decided: Mapping[Partition, int]) -> dict[Partition, int]:
        """The offsets of ``decided`` that are not committed yet."""
        return {p: upto for p, upto in decided.items() if upto > self._committed.get(p, -1)}

    def standing(self, tasks: set[int], decided: Mapping[Partition, int]) -> dict[Partition, int]:
        """The decided offsets of all inputs of these tasks; the committed one where none was read yet."""
        return {p: decided.get(p, max(upto, 0)) for p, upto in self._committed.items() if p.number in tasks}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """These offsets are committed in Kafka."""
        self._committed |= offsets

    def conclude(self, decided: dict[Partition, int]) -> dict[Partition, int]:
        """A turn has ended; returns how far all inputs have come."""
        self._concluded = decided
        return self._committed | decided

    def to_hand_over(self, tasks: set[int]) -> dict[Partition, int]:
        """The concluded offsets of these tasks that are not committed."""
        return self.moved({p: upto for p, upto in self._concluded.items() if p.number in tasks})

    def group_stands(self, partition: Partition) -> int:
        """The committed offset; -1 if the group never committed."""
        return self._committed.get(partition, -1)

    def of_task(self, task: int) -> dict[Partition, int]:
        """The committed offset of every input of a task; 0 where the group never committed."""
        return {p: max(upto, 0) for p, upto in self._committed.items() if p.number == task}

    def rewind(self) -> None:
        """A transaction was aborted: the consumer goes back to what is committed."""
        self._concluded.clear()
        self._passed.clear()
        self._drop_unfinished()

    def forget_concluded(self) -> None:
        """The process fails: what was concluded is not to be committed any more."""
        self._concluded.clear()

    def leave(self, tasks: set[int]) -> None:
        """These tasks are not led any more: another replica reads what is not committed."""
        for offsets in (self._committed, self._concluded, self._passed):
            for partition in [p for p in offsets if p.number in tasks]:
                del offsets[partition]
        self._drop_unfinished(tasks)

    def _drop_unfinished(self, tasks: set[int] | None = None) -> None:
        for partition in [p for p in self._unfinished if tasks is None or p.number in tasks]:
            del self._unfinished[partition]
