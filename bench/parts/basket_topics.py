"""Commands for baskets, ready in a topic, for whoever adds them up."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable

from bench.bare.clients import create_topics, durable_producer
from bench.baskets.messages import FillBasket, Line
from bench.parts.passage import STAMPED
from bench.processes import NotMeasured
from bench.run import PARTITIONS, REPLICATION
from eventbus import Message
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope

COMMANDS = "basket.commands"
KEYS = 20_000


class Topics:
    """A source that holds ``count`` commands, and empty targets. Their names begin with a prefix of their own."""

    def __init__(self, servers: str, count: int) -> None:
        self.servers, self.count = servers, count
        self.prefix = f"p{uuid.uuid4().hex[:8]}."
        codec = Codec("bench.baskets")
        self.source = self._source(COMMANDS, codec.encode)

    def target(self, name: str) -> str:
        """A new topic, whose records the broker stamps."""
        return self._make(name, STAMPED)

    def as_json(self) -> str:
        """A source with the same commands as JSON."""
        codec = Codec("bench.baskets")
        return self._source("basket.json", lambda command: json.dumps(codec.record_of(command)).encode())

    def _make(self, name: str, config: dict[str, str]) -> str:
        topic = self.prefix + name
        create_topics(self.servers, [topic], PARTITIONS, REPLICATION, config)
        return topic

    def _source(self, name: str, encode: Callable[[Message], bytes]) -> str:
        topic, dice, producer = self._make(name, {}), random.Random(1), durable_producer(self.servers, 50)
        baskets = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(KEYS)]
        for number in range(self.count):
            envelope = _command(dice, dice.choice(baskets), number)
            key, value, headers = envelope.message.key, encode(envelope.message), headers_of(envelope)
            while True:
                try:
                    producer.produce(topic, value, key, envelope.partition, headers=list(headers))
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(60):
            raise NotMeasured(f"records for {topic} are not durable after 60 s")
        return topic


def _command(dice: random.Random, basket: str, number: int) -> Envelope:
    lines = tuple(
        Line(product_id=f"product-{dice.randint(1, 999):06}", quantity=dice.randint(1, 9), unit_price=255)
        for _ in range(2)
    )
    command = FillBasket(
        basket_id=basket,
        user_id=f"customer-{number % 1000:06}",
        lines=lines,
        currency="GBP",
        timestamp=time.time_ns() // 1_000_000,
    )
    place = partition_of(basket.encode(), PARTITIONS)
    return Envelope.from_outside(command, COMMANDS, place, time=command.timestamp, source="/basket")
