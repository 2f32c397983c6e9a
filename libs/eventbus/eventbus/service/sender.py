"""Sends commands: each is durable before its sender learns where it stands."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.clients import command_producer
from eventbus.model.errors import Unavailable
from eventbus.model.messages import Author, Envelope, Message
from eventbus.model.places import Partition, Position
from eventbus.model.record import Headers
from eventbus.model.requests import RequestId
from eventbus.processing.ports import epoch_ms
from eventbus.service.answers import Sent
from eventbus.service.local_state import LocalState
from eventbus.settings import Settings

GATHER = 0.003
"""Seconds within which commands go to Kafka together. A request costs the broker and this process about the same,
however many commands it holds. The first one after a pause waits for no other."""


class Written(NamedTuple):
    """The commands that this process wrote to a partition: the first one's offset, and the one after the last."""

    begin: int
    end: int


class Delivery(NamedTuple):
    """A command on its way to a partition, and who waits for it."""

    partition: Partition
    key: bytes
    value: bytes
    headers: Headers
    done: asyncio.Future[Sent | Position]
    is_answered: bool
    """The events that it leads to are kept for its sender."""


class Sender:
    """Lives on the event loop; a thread of its own takes the delivery reports of the producer.

    That thread only puts them in a queue. It wakes the loop once for all that come before the loop looks. Commands go
    to the producer in the order in which they came, those of a burst together.
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        codec: Codec,
        loop: asyncio.AbstractEventLoop,
        local: LocalState,
    ) -> None:
        self._settings, self._codec, self._loop = settings, codec, loop
        self._local, self._progress = local, local.progress
        self._source = f"/{service}/api"
        self._written: dict[Partition, Written] = {}
        self._gathered: deque[Delivery] = deque()
        """What goes to the producer next."""
        self._handed_over_at = -math.inf
        self._handing_over = threading.Lock()
        self._reports: deque[tuple[Delivery, int | Exception]] = deque()
        self._is_woken = False
        self._producer: Producer = command_producer(settings)
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="command-producer", daemon=True)
        self._poller.start()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(0.2)

    def close(self) -> None:
        """Wait for the commands under way, for ``send_timeout`` at most."""
        self._closing.set()
        self._poller.join()
        self._hand_over()
        self._producer.flush(self._settings.send_timeout)

    def written(self) -> Mapping[Partition, Written]:
        """By partition, where the commands stand that this process wrote."""
        return self._written

    async def send(
        self,
        command: Message,
        correlation_id: str | None,
        traceparent: str | None,
        author: Author | None = None,
        request: RequestId | None = None,
    ) -> Sent:
        """Make a command durable (acks=all), and keep its answer while the caller holds what is returned.

        Raises Unavailable if it is not durable within ``send_timeout``.
        """
        envelope = self._envelope(command, correlation_id, traceparent, author, request)
        sent = await self._durable(envelope, is_answered=True)
        assert isinstance(sent, Sent)
        return sent

    async def write(
        self,
        command: Message,
        correlation_id: str | None,
        traceparent: str | None,
        author: Author | None = None,
    ) -> Position:
        """As :meth:`send`, for a command whose answer nobody will ask for."""
        envelope = self._envelope(command, correlation_id, traceparent, author)
        return await self._durable(envelope, is_answered=False)

    def _durable(self, envelope: Envelope, *, is_answered: bool) -> asyncio.Future[Sent | Position]:
        value = self._codec.encode(envelope.message)
        partition = Partition(envelope.topic, envelope.partition)
        headers = headers_of(envelope, old_names=self._settings.old_headers)
        headers += self._codec.schema_headers(value)
        done, key = self._loop.create_future(), envelope.message.key.encode()
        if is_answered:
            self._progress.expect(partition)
        self._gathered.append(Delivery(partition, key, value, headers, done, is_answered))
        if len(self._gathered) == 1:  # else it goes with the first
            due = self._handed_over_at + GATHER
            if self._loop.time() < due:
                self._loop.call_at(due, self._hand_over)
            else:
                self._hand_over()
        return done

    def _hand_over(self) -> None:
        """Give the producer all that was gathered, in order. On the loop; at the end on the thread that closes."""
        self._handed_over_at = self._loop.time()
        with self._handing_over:
            while self._gathered:
                self._produce(self._gathered.popleft())

    def _produce(self, delivery: Delivery) -> None:
        def on_delivery(error: KafkaError | None, record: Record) -> None:
            offset = None if error else record.offset()
            reason = error.str() if error else "the broker named no offset"
            self._report(
                delivery, Unavailable(f"the command is not durable: {reason}") if offset is None else offset
            )

        try:
            self._producer.produce(
                self._settings.topic(delivery.partition.topic),
                value=delivery.value,
                key=delivery.key,
                partition=delivery.partition.number,
                headers=list(delivery.headers),
                on_delivery=on_delivery,
            )
        except BufferError:
            self._report(delivery, Unavailable("too many commands wait to be written"))
        except KafkaException as error:
            self._report(delivery, error)

    def _envelope(
        self,
        command: Message,
        correlation_id: str | None,
        traceparent: str | None,
        author: Author | None,
        request: RequestId | None = None,
    ) -> Envelope:
        now = epoch_ms()
        topic, number = self._local.partition_of(command.topic, command.key)
        return Envelope.from_outside(
            command.stamp(now),
            topic,
            number,
            time=now,
            source=self._source,
            correlation_id=correlation_id,
            traceparent=traceparent,
            author=author,
            identity=str(request) if request else None,
        )

    def _report(self, delivery: Delivery, outcome: int | Exception) -> None:
        """Note at which offset a command stands, or why it does not. Any thread."""
        self._reports.append((delivery, outcome))
        if not self._is_woken:  # else the loop has not looked yet, and finds this report too
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._take_reports)

    def _take_reports(self) -> None:
        # First the flag: a report that comes from now on wakes the loop again.
        self._is_woken = False
        while self._reports:
            self._delivered(*self._reports.popleft())

    def _delivered(self, delivery: Delivery, outcome: int | Exception) -> None:
        """Note where the command stands, also if its sender was cancelled and waits no more."""
        partition, done = delivery.partition, delivery.done
        offset = None if isinstance(outcome, Exception) else outcome
        answer = self._progress.placed(partition, offset) if delivery.is_answered else None
        if offset is not None:
            begin, end = self._written.get(partition, (offset, offset))
            self._written[partition] = Written(begin, max(end, offset + 1))
        if done.done():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        elif answer is None:
            done.set_result(Position(*partition, outcome))
        else:
            done.set_result(Sent(*partition, outcome, answer))
