"""Read your writes: whether a command is decided, by whichever replica, and its events are folded here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventbus.model.decider import Decider, Reactor
from eventbus.model.errors import Unavailable
from eventbus.model.folding import Entry
from eventbus.model.messages import Message
from eventbus.model.places import Entity, Partition
from eventbus.service.answers import Sent
from eventbus.service.local_state import LocalState
from eventbus.service.offset_probe import OffsetProbe
from eventbus.service.reader import Reader
from eventbus.service.rounds import Rounds
from eventbus.service.sender import Sender
from eventbus.service.waits import Waits
from eventbus.settings import Settings

S = TypeVar("S")
Here = Callable[[Partition, int], bool]
"""Whether this replica knows by itself what a partition holds up to an offset."""
Elsewhere = Callable[[Partition, int], Awaitable[bool]]
"""The same, by what the brokers say."""
ASK_FIRST = 0.05
"""Seconds in which a replica that follows sees most decisions by their events, without a question."""
ASK_AGAIN = 0.25
"""Seconds after which a replica that does not decide a command itself asks whether another has decided it."""


class Consistency:
    """Lives on the event loop. Its public methods are documented at :class:`~eventbus.service.bus.Bus`."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        local: LocalState,
        sender: Sender,
        reader: Reader,
        probe: OffsetProbe,
    ) -> None:
        self._settings, self._local, self._progress = settings, local, local.progress
        self._sender, self._reader, self._probe = sender, reader, probe
        self._logs = [*local.store.deciders, f"{service}.retry"]
        """What a replica must have read to know what another has decided."""
        self.waits = Waits(local.progress.changes, reader.read)
        self._without_event: dict[Partition, int] = {}
        """By partition, the offset after the last command from here that is known to have led to no event."""
        self._known: dict[tuple[str, str], dict[Partition, int]] = {}
        """By what is asked and topic, up to where each partition was once found known. No fold goes back."""
        self._rounds: dict[tuple[str, str], Rounds] = {}

    async def answer(self, sent: Sent, timeout: float) -> list[Message]:
        decided = False
        async with asyncio.timeout(timeout):
            while not sent.answer.lost:
                await self._progress.answer_or_decision(sent, ASK_AGAIN, decided=decided)
                # First ask whether it is decided, then look: its events are published with the decision or before.
                decided = decided or (not sent.answer.events and await self._has_decided(sent))
                if sent.answer.events:
                    return list(sent.answer.events)
                if decided and not self._local.store.parked.waits(str(sent)):
                    self._led_to_nothing(sent)
                    return []
        raise TimeoutError(
            f"the events that {sent} led to were dropped: too many came before its offset was known"
        )

    async def _has_decided(self, sent: Sent) -> bool:
        partition, end = Partition(sent.topic, sent.partition), sent.offset + 1
        try:
            return self._progress.decided(partition) >= end or await self._is_decided_elsewhere(
                partition, end
            )
        except Unavailable:
            return False

    def _led_to_nothing(self, sent: Sent) -> None:
        """Without this the command would count as undecided until a later one leads to an event."""
        partition = Partition(sent.topic, sent.partition)
        self._without_event[partition] = max(self._without_event.get(partition, 0), sent.offset + 1)

    def undecided(self, topic: str) -> int:
        count = 0
        for partition, (begin, end) in self._sender.written().items():
            if partition[0] == topic and (decided := self._decided_up_to(partition, begin)) < end:
                count += end - decided
        return count

    def _decided_up_to(self, partition: Partition, begin: int) -> int:
        """An offset from ``begin`` on. What stands before the first command from here may not wait for anything."""
        return max(
            begin,
            self._without_event.get(partition, 0),
            self._progress.answered(partition),
            self._progress.decided(partition),
        )

    async def wait(
        self, decider: Decider[S], key: str, until: Callable[[Entry[S] | None], bool], timeout: float
    ) -> Entry[S] | None:
        return await self.waits.wait(decider, key, until, timeout)

    async def caught_up(self, topic: str, key: str) -> None:
        partition = self._local.partition_of(topic, key)
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                end = await self._probe.end(partition)
                while not await self._is_decided(partition, end):
                    await self._progress.anything(0.05)
        except (TimeoutError, Unavailable) as error:
            raise Unavailable(f"this replica has not caught up with {topic} yet") from error
        if self._waits(topic, key):
            raise Unavailable(
                f"a message of {topic} waits for another try, or for a person: it is not decided"
            )

    async def all_caught_up(self, topic: str) -> None:
        await self._reach_ends("decided", topic, self._is_decided_here, self._is_decided_elsewhere)

    async def all_folded(self, log: str) -> None:
        await self._reach_ends("folded", log, self._is_folded)

    async def _reach_ends(
        self, what: str, topic: str, here: Here, elsewhere: Elsewhere | None = None
    ) -> None:
        """Return once a topic is known to its end on all partitions. Who asks at one time asks together."""
        known = self._known.setdefault((what, topic), {})

        async def ask() -> None:
            async with asyncio.timeout(self._settings.read_timeout):
                for partition, end in (await self._probe.all_ends(topic, self._local.partitions)).items():
                    if known.get(partition, 0) < end:
                        await self._reach(partition, end, here, elsewhere)
                        known[partition] = end

        rounds = self._rounds.setdefault((what, topic), Rounds(ask))
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                await rounds.asked()
        except (TimeoutError, Unavailable) as error:
            raise Unavailable(f"this replica has not caught up with {topic} yet") from error

    async def _reach(self, partition: Partition, end: int, here: Here, elsewhere: Elsewhere | None) -> None:
        """Return once a partition is known up to ``end``. What this replica sees by itself costs no question."""
        clock = asyncio.get_running_loop().time
        ask_at = clock() + ASK_FIRST
        while not here(partition, end):
            if elsewhere and clock() >= ask_at:
                if await elsewhere(partition, end):
                    return
                ask_at = clock() + ASK_AGAIN
            await self._progress.anything(ASK_FIRST)

    def _is_folded(self, partition: Partition, end: int) -> bool:
        """Whether an own log is folded here up to there. A leader has folded what it has committed."""
        upto = self._local.positions().get(partition)
        return self._is_any_input_led(partition.number) if upto is None else upto >= end

    def _is_any_input_led(self, task: int) -> bool:
        return any(p.number == task and self._is_led(p) for p in self._progress.decided_partitions())

    def _waits(self, topic: str, key: str) -> bool:
        """Whether a message of this key is parked here: what it will lead to is not known."""
        parked = self._local.store.parked
        return any(
            one.raw.topic == topic
            for log in self._local.store.deciders
            for one in parked.stored(Entity(log, key))
        )

    async def _is_decided(self, partition: Partition, end: int) -> bool:
        """Whether this replica has folded the events of every record of ``partition`` before ``end``.

        The leader knows it by itself. Another replica knows it from an event that answers the last of them. Or it
        asks what the group has committed, and must then have read the own logs up to the end they have after that.
        """
        return self._is_decided_here(partition, end) or await self._is_decided_elsewhere(partition, end)

    def _is_decided_here(self, partition: Partition, end: int) -> bool:
        """What this replica knows of it without a question."""
        if self._progress.decided(partition) >= end:
            return True
        return self._progress.answered(partition) >= end and self._answers_in_order(partition.topic)

    async def _is_decided_elsewhere(self, partition: Partition, end: int) -> bool:
        """Whether another replica has committed that all before ``end`` is decided, and this one has folded it."""
        if self._is_led(partition):
            return False
        if await self._probe.decided(partition) < end:
            return False
        logs = [Partition(log, partition.number) for log in self._logs]
        # The coordinator marks offsets and logs as committed one after the other. So an event may still count as open
        # when the offset of its command is committed: the end must be the one that open transactions are part of.
        ends = {log: await self._probe.end(log) for log in logs}
        while True:
            positions = self._local.positions()
            if all(positions.get(log, -1) >= log_end for log, log_end in ends.items()):
                return True
            if any(log not in positions for log in logs):
                return False
            await self._progress.anything(0.02)

    def _answers_in_order(self, topic: str) -> bool:
        """Whether an event that answers a record of the topic follows the answers to all records before it."""
        takers = [
            decider
            for decider in self._local.store.deciders.values()
            if any(cls.topic == topic for cls in decider.inputs)
        ]
        return len(takers) == 1 and not isinstance(takers[0], Reactor)

    def _is_led(self, partition: Partition) -> bool:
        """Whether this replica leads the task of an input: it has decided of it, and does not follow all its logs."""
        if partition not in self._progress.decided_partitions():
            return False
        followed = self._local.positions()
        return any(Partition(log, partition.number) not in followed for log in self._local.store.deciders)
