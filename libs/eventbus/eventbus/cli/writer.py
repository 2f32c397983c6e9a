"""How the command line writes commands: each is durable when the method returns."""

from __future__ import annotations

import getpass
import os
import socket

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as Record

from eventbus.cli.ending import CommandError, Exit, unreachable
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.clients import command_producer
from eventbus.model.messages import Author, Envelope, Message
from eventbus.model.places import Partition, Position
from eventbus.model.record import Headers, size_of
from eventbus.processing.ports import epoch_ms
from eventbus.settings import Settings

OPERATOR = "EVENTBUS_OPERATOR"
"""The environment variable that says who gives the commands."""


def operator() -> Author:
    """Who gives the commands: as EVENTBUS_OPERATOR says, or else the user of this machine."""
    name = os.environ.get(OPERATOR, "").strip()
    if not name:
        try:
            name = f"{getpass.getuser()}@{socket.gethostname()}"
        except (OSError, KeyError):  # a user without a name, as in some containers
            name = f"{os.getuid()}@{socket.gethostname()}"
    return Author("user", name[:200])


class CommandWriter:
    """Every method raises CommandError if Kafka is away."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._producer = command_producer(settings)

    def send(self, partition: Partition, command: Message, source: str) -> Position:
        """Write a command; returns where it stands. ``source``: who sends it, as in ``ce_source``."""
        now = epoch_ms()
        return self.write(
            Envelope.from_outside(command.stamp(now), *partition, time=now, source=source, author=operator())
        )

    def write(self, envelope: Envelope) -> Position:
        """Write a message to the partition that its envelope names; returns where it stands."""
        partition, message = Partition(envelope.topic, envelope.partition), envelope.message
        key, value = message.key.encode(), self._codec.encode(message)
        return self._write(partition, key, value, headers_of(envelope, old_names=self._settings.old_headers))

    def delete(self, partition: Partition, key: str) -> Position:
        """Write that a compacted topic holds nothing for ``key`` any more; returns where that stands."""
        author = operator()
        headers: Headers = [("ce_authtype", author.kind.encode()), ("ce_authid", author.id.encode())]
        return self._write(partition, key.encode(), None, headers)

    def _write(self, partition: Partition, key: bytes, value: bytes | None, headers: Headers) -> Position:
        offsets: list[int] = []
        errors: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, record: Record) -> None:
            offset = record.offset()
            if error is None and offset is not None:
                offsets.append(offset)
            else:
                errors.append(error or KafkaError(KafkaError._FAIL))

        topic, number = partition
        try:
            self._producer.produce(
                self._settings.topic(topic),
                value=value,
                key=key,
                partition=number,
                headers=list(headers),
                on_delivery=on_delivery,
            )
        except KafkaException as exception:
            errors.append(exception.args[0])
        while not offsets and not errors:
            self._producer.poll(0.1)
        if errors and errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
            raise CommandError(
                Exit.USAGE, f"It has {size_of(key, value, headers)} bytes, more than {topic} takes."
            )
        if errors:
            raise unreachable(self._settings.bootstrap_servers, errors[0].str())
        return Position(topic, number, offsets[0])
