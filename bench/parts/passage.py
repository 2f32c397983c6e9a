"""How fast a process takes records from one topic to another: by the broker's clock, from the first to the last."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import cpu
from bench.bare.clients import create_topics, durable_producer, reader
from bench.baskets.messages import FillBasket, Line
from bench.processes import Module, NotMeasured
from bench.run import PARTITIONS, REPLICATION
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.errors import passes
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope

COMMANDS = "basket.commands"
KEYS = 20_000
PATIENCE = 300.0
LOOK = 0.1
"""Seconds between two looks at what a group has committed."""


@dataclass(frozen=True)
class Passage:
    """What came out: records in a second, and CPU (µs) of the process and of the broker for each."""

    rate: float
    cpu: dict[str, float]


class Topics:
    """A source that holds ``count`` commands, and empty targets. Their names begin with a prefix of their own."""

    def __init__(self, servers: str, count: int) -> None:
        self.servers, self.partitions, self.count = servers, PARTITIONS, count
        self.prefix = f"p{uuid.uuid4().hex[:8]}."
        self.source = self._make(COMMANDS, {})
        self._fill()

    def target(self, name: str) -> str:
        """A new topic. The broker stamps its records, so that one clock measures everybody."""
        return self._make(name, {"message.timestamp.type": "LogAppendTime"})

    def _make(self, name: str, config: dict[str, str]) -> str:
        topic = self.prefix + name
        create_topics(self.servers, [topic], self.partitions, REPLICATION, config)
        return topic

    def _fill(self) -> None:
        codec, dice, producer = Codec("bench.baskets"), random.Random(1), durable_producer(self.servers, 50)
        baskets = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(KEYS)]
        for number in range(self.count):
            envelope = _command(dice, dice.choice(baskets), number, self.partitions)
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


def _command(dice: random.Random, basket: str, number: int, partitions: int) -> Envelope:
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
    place = partition_of(basket.encode(), partitions)
    return Envelope.from_outside(command, COMMANDS, place, time=command.timestamp, source="/basket")


def passage(topics: Topics, group: str, target: str, process: Module, broker: int) -> Passage:
    """Start the process, wait until its group has committed the whole source, and look at what it wrote.

    Raises NotMeasured if the process ends, takes too long, or has not written exactly one record for each.
    """
    probe = reader(topics.servers, group=group)
    try:
        places = [TopicPartition(topics.source, number) for number in range(topics.partitions)]
        end = sum(probe.get_watermark_offsets(place, timeout=10)[1] for place in places)
        with process:
            pids = {"process": process.pid, "broker": broker}
            deadline, begun = time.monotonic() + PATIENCE, None
            while (done := _committed(probe, places)) < end:
                if time.monotonic() > deadline:
                    raise NotMeasured(f"{group} has decided {done} of {end} records in {PATIENCE:.0f} s")
                if done and begun is None:
                    begun = done, cpu.seconds(pids)
                process.check()
                time.sleep(LOOK)
            used = cpu.between(begun[1], cpu.seconds(pids)) if begun else {}
        first, last, later = _span(topics, target)
    finally:
        probe.close()
    each = (
        {name: round(seconds * 1e6 / (end - begun[0]), 1) for name, seconds in used.items()} if begun else {}
    )
    return Passage(later / (last - first) * 1000, each)


def _committed(probe: Consumer, places: list[TopicPartition]) -> int:
    """How many records the group has decided; 0 while its coordinator is not there yet."""
    try:
        return sum(max(place.offset, 0) for place in probe.committed(places, timeout=10))
    except KafkaException as exception:
        if not passes(exception.args[0]):
            raise
        return 0


def _span(topics: Topics, target: str) -> tuple[int, int, int]:
    """When (ms) the first record of a target came and when the last one, and how many came after the first."""
    consumer, came = reader(topics.servers), Counter[int]()
    consumer.assign([TopicPartition(target, number, 0) for number in range(topics.partitions)])
    while came.total() < topics.count:
        records = consumer.consume(5_000, 5.0)
        if not records:
            break
        for record in records:
            if error := record.error():
                raise KafkaException(error)
            came[record.timestamp()[1]] += 1
    consumer.close()
    if came.total() != topics.count:
        raise NotMeasured(f"{target} holds {came.total()} records instead of {topics.count}")
    first, last = min(came), max(came)
    return first, last, topics.count - came[first]
