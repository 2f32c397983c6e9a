"""Sends commands: each is durable before its sender learns where it stands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Record

from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.clients import command_producer
from eventbus.model.errors import Unavailable
from eventbus.model.messages import Envelope, Message
from eventbus.model.places import Partition
from eventbus.processing.ports import epoch_ms
from eventbus.service.answers import Sent
from eventbus.service.local_state import LocalState
from eventbus.settings import Settings


class Written(NamedTuple):
    """The commands that this process wrote to a partition: the first one's offset, and the one after the last."""

    begin: int
    end: int


class Sender:
    """Lives on the event loop; a thread of its own takes the delivery reports of the producer."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        codec: Codec,
        loop: asyncio.AbstractEventLoop,
        local: LocalState,
    ) -> None:
        self._service, self._settings, self._codec, self._loop = service, settings, codec, loop
        self._local, self._progress = local, local.progress
        self._written: dict[Partition, Written] = {}
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
        self._producer.flush(self._settings.send_timeout)

    def written(self) -> Mapping[Partition, Written]:
        """By partition, where the commands stand that this process wrote."""
        return self._written

    async def send(self, command: Message, correlation_id: str | None, traceparent: str | None) -> Sent:
        """Make a command durable (acks=all). Raises Unavailable if it is not durable within ``send_timeout``."""
        envelope = self._envelope(command, correlation_id, traceparent)
        value = self._codec.encode(envelope.message)
        partition = Partition(envelope.topic, envelope.partition)
        delivery: asyncio.Future[Sent] = self._loop.create_future()

        def on_delivery(error: KafkaError | None, record: Record) -> None:
            offset = None if error else record.offset()
            reason = error.str() if error else "the broker named no offset"
            self._loop.call_soon_threadsafe(self._delivered, delivery, partition, offset, reason)

        self._progress.expect(partition)
        try:
            self._producer.produce(
                self._settings.topic(envelope.topic),
                value=value,
                key=envelope.message.key.encode(),
                partition=envelope.partition,
                headers=list(
                    headers_of(envelope, old_names=self._settings.old_headers)
                    + self._codec.schema_headers(value)
                ),
                on_delivery=on_delivery,
            )
        except KafkaException:
            self._progress.placed(partition, None)
            raise
        except BufferError as error:
            self._progress.placed(partition, None)
            raise Unavailable("too many commands wait to be written") from error
        return await delivery

    def _envelope(self, command: Message, correlation_id: str | None, traceparent: str | None) -> Envelope:
        now = epoch_ms()
        topic, number = self._local.partition_of(command.topic, command.key)
        return Envelope.from_outside(
            command.stamp(now),
            topic,
            number,
            time=now,
            source=f"/{self._service}/api",
            correlation_id=correlation_id,
            traceparent=traceparent,
        )

    def _delivered(
        self, delivery: asyncio.Future[Sent], partition: Partition, offset: int | None, reason: str
    ) -> None:
        """Note where the command stands, also if its sender was cancelled and waits no more."""
        answer = self._progress.placed(partition, offset)
        if offset is not None:
            begin, end = self._written.get(partition, (offset, offset))
            self._written[partition] = Written(begin, max(end, offset + 1))
        if delivery.done():
            return
        if offset is None:
            delivery.set_exception(Unavailable(f"the command is not durable: {reason}"))
        else:
            delivery.set_result(Sent(*partition, offset, answer))
