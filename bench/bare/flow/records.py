"""The records of the flow, in Avro, with the headers that this project's library writes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from confluent_kafka import Message

from bench.bare.headers import headers_of, moment, place_of
from bench.bare.hop import Headers
from bench.bare.record import COMMAND, CREATED, AvroCodec

SERVICES = ("order", "payment", "inventory", "notification")
TOPICS = (
    "order.commands",
    "order.events",
    "inventory.events",
    "payment.events",
    "stock.events",
    "notification.events",
)
CODECS = {
    name.partition("/")[2].partition(".")[0]: AvroCodec(name)
    for name in (
        COMMAND,
        CREATED,
        "order.events/OrderPaid.v1",
        "order.events/OrderReserved.v1",
        "order.events/OrderConfirmed.v1.1",
        "inventory.events/ReservationStarted.v1.1",
        "inventory.events/ProductReserved.v1",
        "inventory.events/InventoryReserved.v1",
        "payment.events/PaymentSucceeded.v1",
        "notification.events/NotificationSent.v1.1",
        "stock.events/StockReserved.v1",
    )
}
"""By the name of the message."""
NAMES = {codec.head: name for name, codec in CODECS.items()}


class Input(NamedTuple):
    """A record that is to be decided."""

    record: Message
    name: str
    fields: dict[str, Any]
    told: Mapping[str, bytes]
    """Its headers."""

    @property
    def key(self) -> bytes:
        key = self.record.key()
        assert key is not None
        return key


class Output(NamedTuple):
    """A record to produce."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


def inputs(batch: Iterable[Message], names: tuple[str, ...]) -> Iterator[Input]:
    """The records of these names, decoded one by one. What a record is, its schema id says."""
    for record in batch:
        value = record.value()
        assert value is not None
        name = NAMES[value[:5]]
        if name in names:
            told = dict(cast(list[tuple[str, bytes]], record.headers() or []))
            yield Input(record, name, CODECS[name].decode(value), told)


class Outputs(list[Output]):
    """What a service makes of a batch. All of it has one time."""

    def __init__(self, service: str) -> None:
        super().__init__()
        now = time.time()
        self.millis = int(now * 1000)
        self._service, self._moment = service, moment(now)

    def add(
        self,
        topic: str,
        name: str,
        key: bytes,
        fields: dict[str, Any],
        cause: Input,
        version: int,
        place: int,
    ) -> None:
        """An event: the one of that ``version`` of its key, at that ``place`` among what its cause leads to."""
        headers = headers_of(
            self._service, name, key, place_of(cause.record), cause.told, version, place, self._moment
        )
        value = CODECS[name].encode({**fields, "timestamp": self.millis})
        self.append(Output(topic, key, value, headers))
