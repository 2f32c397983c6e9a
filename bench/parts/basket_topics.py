"""Commands for baskets, ready in a topic, for whoever adds them up."""

from __future__ import annotations

import random
import time
import uuid

from bench.bare.clients import create_topics, durable_producer
from bench.baskets.messages import FillBasket, Line
from bench.parts.passage import STAMPED
from bench.processes import NotMeasured
from bench.run import PARTITIONS, REPLICATION
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
        self.source = self._make(COMMANDS, {})
        self._fill()

    def target(self, name: str) -> str:
        """A new topic, whose records the broker stamps."""
        return self._make(name, STAMPED)

    def _make(self, name: str, config: dict[str, str]) -> str:
        topic = self.prefix + name
        create_topics(self.servers, [topic], PARTITIONS, REPLICATION, config)
        return topic

    def _fill(self) -> None:
        codec, dice, producer = Codec("bench.baskets"), random.Random(1), durable_producer(self.servers, 50)
        baskets = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(KEYS)]
        for number in range(self.count):
            envelope = _command(dice, dice.choice(baskets), number)
            key, value = envelope.message.key.encode(), codec.encode(envelope.message)
            while True:
                try:
                    producer.produce(
                        self.source, value, key, envelope.partition, headers=list(headers_of(envelope))
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(60):
            raise NotMeasured(f"records for {self.source} are not durable after 60 s")


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
