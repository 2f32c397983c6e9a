"""How fast a process takes records from one topic to another: by the broker's clock, from the first to the last."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import cpu
from bench.bare.clients import reader
from bench.processes import Module, NotMeasured
from bench.run import PARTITIONS
from eventbus.kafka.errors import passes

STAMPED = {"message.timestamp.type": "LogAppendTime"}
"""The configuration of a topic whose records the broker stamps, so that one clock measures everybody."""
PATIENCE = 600.0
LOOK = 0.1
"""Seconds between two looks at what a group has committed."""


@dataclass(frozen=True)
class Passage:
    """What came out: records in a second, and CPU (µs) of the process and of the broker for each."""

    rate: float
    cpu: dict[str, float]


def passage(servers: str, group: str, source: str, target: str, process: Module, broker: int) -> Passage:
    """Start the process, wait until its group has committed the whole source, and look at what it wrote.

    Raises NotMeasured if the process ends, takes too long, or has not written exactly one record for each.
    """
    probe = reader(servers, group=group)
    try:
        places = [TopicPartition(source, number) for number in range(PARTITIONS)]
        count = sum(probe.get_watermark_offsets(place, timeout=10)[1] for place in places)
        with process:
            used = _watch(probe, places, count, process, broker)
    finally:
        probe.close()
    return Passage(rate_of(_written(servers, target, count)), used)


def rate_of(came: Counter[int]) -> float:
    """Records in a second, given how many came in which ms. What came in the first ms began before it: it does not
    count. Raises NotMeasured if all came at once."""
    first, last = min(came), max(came)
    if first == last:
        raise NotMeasured(f"{came.total()} records are too few to measure how fast they come")
    return (came.total() - came[first]) / (last - first) * 1000


def _watch(
    probe: Consumer, places: list[TopicPartition], count: int, process: Module, broker: int
) -> dict[str, float]:
    """Return, once all is committed, what each record has cost since the first commit.

    Nothing if there was one commit only: then what the start of the process cost is in it.
    """
    pids = {"process": process.pid, "broker": broker}
    deadline, begun = time.monotonic() + PATIENCE, 0
    before = cpu.seconds(pids)
    while (done := _committed(probe, places)) < count:
        if done and not begun:
            begun, before = done, cpu.seconds(pids)
        if time.monotonic() > deadline:
            raise NotMeasured(f"{done} of {count} records were decided in {PATIENCE:.0f} s")
        process.check()
        time.sleep(LOOK)
    if not begun:
        return {}
    used = cpu.between(before, cpu.seconds(pids))
    return {name: round(seconds * 1e6 / (count - begun), 1) for name, seconds in used.items()}


def _committed(probe: Consumer, places: list[TopicPartition]) -> int:
    """How many records the group has decided; 0 while its coordinator is not there yet."""
    try:
        return sum(max(place.offset, 0) for place in probe.committed(places, timeout=10))
    except KafkaException as exception:
        if not passes(exception.args[0]):
            raise
        return 0


def _written(servers: str, target: str, count: int) -> Counter[int]:
    """How many records of a target came in which ms. Raises NotMeasured if there are not ``count`` in all."""
    consumer, came = reader(servers), Counter[int]()
    consumer.assign([TopicPartition(target, number, 0) for number in range(PARTITIONS)])
    while came.total() < count and (records := consumer.consume(5_000, 5.0)):
        for record in records:
            if error := record.error():
                raise KafkaException(error)
            came[record.timestamp()[1]] += 1
    came.update(
        record.timestamp()[1] for record in consumer.consume(1, 0.5)
    )  # none may come beyond the last one
    consumer.close()
    if came.total() != count:
        raise NotMeasured(f"{target} holds {came.total()} records, but {count} were to be written")
    return came
