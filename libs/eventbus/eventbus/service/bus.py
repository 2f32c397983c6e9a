"""The HTTP side's view of the bus: send a command, await its answer, read local state."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.clients import command_producer, probe_consumer
from eventbus.kafka.health import BrokerHealth
from eventbus.kafka.records import end_of, partition_of
from eventbus.model.decider import Decider, Reactor
from eventbus.model.errors import Unavailable
from eventbus.model.folding import Entry
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Partition
from eventbus.processing.follower import Stop
from eventbus.service.progress import Place, Progress, Sent
from eventbus.settings import Settings
from eventbus.state.parked import HoldStatus
from eventbus.state.store import Store

S = TypeVar("S")
T = TypeVar("T")
LOOK_AGAIN = 0.25
"""Seconds after which a replica that does not decide a command itself asks whether another has decided it."""


class Bus:
    """Lives on the event loop; every method is called from it. ``progress`` is told by the processor."""

    def __init__(
        self, service: str, settings: Settings, codec: Codec, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.service, self.settings, self._codec, self._loop = service, settings, codec, loop
        self._store: Store | None = None
        self._heard: BrokerHealth | None = None
        self._partitions = 0
        self._positions: Callable[[], dict[Place, int]] = dict
        self._stops: Callable[[], dict[Place, Stop]] = dict
        self.progress = Progress(loop)
        self._sent: dict[Place, int] = {}
        self._before: dict[Place, int] = {}
        self._producer: Producer = command_producer(settings)
        self._ends = probe_consumer(settings, f"{service}.probe", "read_uncommitted")
        self._group = probe_consumer(settings, service, "read_committed")
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="command-producer", daemon=True)
        self._poller.start()

    def attach(
        self,
        store: Store,
        heard: BrokerHealth,
        partitions: int,
        positions: Callable[[], dict[Place, int]],
        stops: Callable[[], dict[Place, Stop]] = dict,
    ) -> None:
        """The processor is there: reads are possible from now on."""
        self._stops = stops
        self._store, self._heard, self._partitions, self._positions = store, heard, partitions, positions
        self.progress.attend({c.topic for d in store.deciders.values() for c in d.inputs}, partitions)

    def close(self) -> None:
        """Wait for commands under way, then let go of Kafka."""
        self._closing.set()
        self._poller.join()
        self._producer.flush(self.settings.send_timeout)
        self._ends.close()
        self._group.close()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(0.2)

    # Writing

    async def send(
        self, command: Message, *, correlation_id: str | None = None, traceparent: str | None = None
    ) -> Sent:
        """Make a command durable (acks=all); returns where it stands. Raises Unavailable if it is not in time.

        What the command leads to is kept for :meth:`answer` while the caller holds what is returned, no longer.
        """
        if not self._partitions:
            raise Unavailable("this replica has not reached Kafka yet")
        now = time.time_ns() // 1_000_000
        command = command.stamp(now)
        key = command.key.encode()
        envelope = Envelope.from_outside(
            command,
            command.topic,
            partition_of(key, self._partitions),
            time=now,
            source=f"/{self.service}/api",
            correlation_id=correlation_id,
            traceparent=traceparent,
        )
        place = Partition(envelope.topic, envelope.partition)
        delivery: asyncio.Future[Sent] = self._loop.create_future()

        def delivered(error: KafkaError | None, record: Record) -> None:
            self._loop.call_soon_threadsafe(self._deliver, delivery, envelope, error, record.offset())

        self.progress.expect(place)
        try:
            self._producer.produce(
                self.settings.topic(command.topic),
                value=self._codec.encode(command),
                key=key,
                partition=envelope.partition,
                headers=list(headers_of(envelope)),
                on_delivery=delivered,
            )
        except KafkaException:
            self.progress.stands(place, None)
            raise
        except BufferError as error:
            self.progress.stands(place, None)
            raise Unavailable("too many commands wait to be written") from error
        return await delivery

    def _deliver(
        self,
        delivery: asyncio.Future[Sent],
        envelope: Envelope,
        error: KafkaError | None,
        offset: int | None,
    ) -> None:
        place = Partition(envelope.topic, envelope.partition)
        answer = self.progress.stands(place, None if error else offset)
        if error is None and offset is not None:
            if place not in self._sent:
                # What stood there before this process wrote is not known to wait for anything.
                self._before[place] = offset
            self._sent[place] = max(offset + 1, self._sent.get(place, 0))
        if delivery.done():
            return
        if error is not None or offset is None:
            delivery.set_exception(
                Unavailable(f"the command is not durable: {error.str() if error else '?'}")
            )
        else:
            sent = Sent(*place, offset)
            sent.answer = answer
            delivery.set_result(sent)

    async def answer(self, sent: Sent, timeout: float) -> list[Message]:
        """The own events that a command sent from here led to, once they are folded here.

        Empty as soon as this replica knows that the command is decided and led to none. Raises TimeoutError after
        ``timeout`` (seconds): it is not decided yet, or waits behind what failed, or its answer could not be kept.
        """
        decided = False
        async with asyncio.timeout(timeout):
            while not sent.answer.lost:
                await self.progress.about(sent, LOOK_AGAIN, decided=decided)
                # Asked first, and looked for events afterwards: they are told with the decision or before.
                decided = decided or (not sent.answer.events and await self._has_decided(sent))
                if sent.answer.events:
                    return list(sent.answer.events)
                if decided and not self._reader().waiting.waits(str(sent)):
                    # No event will say so: without this it would count as undecided until a later one does.
                    place = Partition(sent.topic, sent.partition)
                    self._before[place] = max(self._before.get(place, 0), sent.offset + 1)
                    return []
        raise TimeoutError(
            f"what {sent} led to was dropped: too many answers came before it was known where it stands"
        )

    async def _has_decided(self, sent: Sent) -> bool:
        place, end = Partition(sent.topic, sent.partition), sent.offset + 1
        try:
            return self.progress.decided(place) >= end or await self._is_decided_elsewhere(place, end)
        except KafkaException:
            return False

    def undecided(self, topic: str) -> int:
        """How many records of ``topic``, up to the last sent from here, have led to nothing yet that is folded here.

        Other replicas' records between count too. One that leads to no event counts until a later one of its
        partition does.
        """
        told = self.progress
        return sum(
            max(0, sent - max(self._before[place], told.answered(place), told.decided(place)))
            for place, sent in self._sent.items()
            if place[0] == topic
        )

    # Reading

    def fresh(self) -> bool:
        """Whether the brokers were heard within a session timeout."""
        return self._heard is not None and self._heard.silent_for() < self.settings.session_timeout

    def read(self, decider: Decider[S], key: str) -> Entry[S] | None:
        """The state of one key on this replica.

        Raises Unavailable before the first catch-up, and while a record stops the task of the key.
        """
        stops = self._stops()
        if stops and (
            stop := stops.get(Partition(decider.log, partition_of(key.encode(), self._partitions)))
        ):
            raise Unavailable(f"this replica cannot say how {key} stands: {stop.reason}")
        return self._reader().read(decider, key)

    def held(self, key: str) -> HoldStatus | None:
        """Why messages of a key wait, here or in a service whose retry topic is watched; None if none does."""
        return self._reader().waiting.held(key)

    def held_keys(self) -> int:
        """How many keys wait, here or in a service whose retry topic is watched."""
        return self._reader().waiting.keys()

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Rows of this replica's projections; read-only."""
        return self._reader().db.execute(sql, args).fetchall()

    def consult(self, question: Callable[[Codec, Store, int], T]) -> T:
        """Put a question to this replica's state: given the codec, the store (read-only) and the partition count.

        Raises Unavailable before the first catch-up, and if the brokers were not heard for a session timeout.
        """
        store = self._reader()
        if not self.fresh():
            raise Unavailable("this replica has not heard from Kafka for too long to say how things stand")
        return question(self._codec, store, self._partitions)

    def _reader(self) -> Store:
        if self._store is None:
            raise Unavailable("this replica has not reached Kafka yet")
        return self._store

    async def wait(
        self, decider: Decider[S], key: str, until: Callable[[Entry[S] | None], bool], timeout: float
    ) -> Entry[S] | None:
        """Read a key until ``until`` holds or ``timeout`` (seconds) has passed; returns the last read."""
        deadline = self._loop.time() + timeout
        while True:
            entry = self.read(decider, key)
            left = deadline - self._loop.time()
            if until(entry) or left <= 0:
                return entry
            try:
                await self.progress.change(decider.log, key, left, lambda: until(self.read(decider, key)))
            except TimeoutError:
                return self.read(decider, key)

    async def caught_up(self, topic: str, key: str) -> None:
        """Return once everything that ``topic`` held for this key when the call came is decided and folded here.

        Raises Unavailable after ``read_timeout``: then this replica cannot say what it does not know.
        """
        if not self._partitions:
            raise Unavailable("this replica has not reached Kafka yet")
        place = Partition(topic, partition_of(key.encode(), self._partitions))
        try:
            async with asyncio.timeout(self.settings.read_timeout):
                end = await asyncio.to_thread(self._end, self._ends, place)
                while not await self._is_decided(place, end):
                    await self.progress.anything(0.05)
        except (TimeoutError, KafkaException) as error:
            raise Unavailable(f"this replica has not caught up with {topic} yet") from error

    async def _is_decided(self, place: Place, end: int) -> bool:
        """Whether this replica has folded what became of every record of ``place`` before ``end``.

        The leader knows it by itself. Another replica knows it from an event that answers the last of them, or asks
        what the group has committed, and must then have read the own logs up to the end they have after that.
        """
        if self.progress.decided(place) >= end:
            return True
        if self.progress.answered(place) >= end and self._answers_in_order(place[0]):
            return True
        return await self._is_decided_elsewhere(place, end)

    async def _is_decided_elsewhere(self, place: Place, end: int) -> bool:
        """Whether another replica has committed that all before ``end`` is decided, and this one has folded it."""
        if place in self._led():
            return False
        if await asyncio.to_thread(self._group_offset, place) < end:
            return False
        logs = [*self._reader().deciders, f"{self.service}.retry"]
        targets = {
            part: await asyncio.to_thread(self._end, self._group, part)
            for part in [Partition(log, place.number) for log in logs]
        }
        while True:
            positions = self._positions()
            if all(positions.get(part, -1) >= target for part, target in targets.items()):
                return True
            if any(part not in positions for part in targets):
                return False
            await self.progress.anything(0.02)

    def _answers_in_order(self, topic: str) -> bool:
        """Whether an event that answers a record of the topic follows the answers to all records before it."""
        takers = [d for d in self._reader().deciders.values() if any(c.topic == topic for c in d.inputs)]
        return len(takers) == 1 and not isinstance(takers[0], Reactor)

    def _led(self) -> set[Place]:
        followed = self._positions()
        logs = list(self._reader().deciders)
        return {
            p for p in self.progress.places() if any(Partition(log, p.number) not in followed for log in logs)
        }

    def _end(self, consumer: Consumer, place: Place) -> int:
        return end_of(consumer, self.settings.topic(place[0]), place[1], self.settings.read_timeout)

    def _group_offset(self, place: Place) -> int:
        tp = TopicPartition(self.settings.topic(place[0]), place[1])
        return int(self._group.committed([tp], timeout=self.settings.read_timeout)[0].offset)
