"""``python -m bench.generate_orders ORDERS``: writes the logs of a system that has settled so many orders.

The records are those that the services would have written: the real deciders make them in memory (``bench.lives``).
Kafka gets them directly, with what each service has committed, and the payment simulator its record of charges.
Services that start afterwards take all of it for their own, and the audit is clean. A seed and a time of the first
order always give the same records.

Without ``--bootstrap-servers`` it fills the local stack, which must be down. The topics must be empty. Kafka deletes
commands and answers that are older than 30 days, so the first order should not be.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from bench.lives import World
from bench.orders import PACE, Plan, lives
from eventbus import Settings
from eventbus.cli.creation import load
from eventbus.kafka.clients import common, probe_consumer
from eventbus.kafka.errors import passes
from eventbus.kafka.topics import create
from eventbus.model.record import Raw
from eventbus.private import write_privately
from services.payment.simulator.record import COLUMNS, TABLES, Row
from tools.registry import BY_NAME
from tools.stack.kafka import LocalKafka
from tools.stack.settings import StackError, StackSettings
from tools.wiring import topics

PATIENCE = 20.0
Place = tuple[str, int]
"""A topic and the number of a partition."""


class NotGenerated(Exception):
    """The logs cannot be generated, or are not whole; the message says why and what to do."""


class Share(NamedTuple):
    """What was written to the partition of each topic, and what the gateway has on record of it."""

    partition: int
    ends: dict[str, int]
    rows: list[Row]


def generate(
    settings: Settings, plan: Plan, gateway: Path | None = None, workers: int | None = None
) -> dict[str, int]:
    """Write everything to Kafka, whose topics exist and are empty, and the gateway's record to the file ``gateway``.

    Returns how many records each topic has now. Raises NotGenerated.
    """
    counts = _partitions(settings)
    partitions = counts["order.events"]
    for name in plan.services:
        _commit(
            settings, name, partitions, {}
        )  # is refused if the service runs: it would decide what is written
    spawning = get_context("spawn")  # the threads of a Kafka client here would not be in a fork
    args = [(settings, plan, i, partitions) for i in range(partitions)]
    try:
        with ProcessPoolExecutor(min(workers or os.cpu_count() or 1, partitions), spawning) as pool:
            shares = list(pool.map(_write_share, *zip(*args, strict=True)))
    except BrokenProcessPool as error:
        raise NotGenerated("A process that wrote was killed: empty the system, and begin again.") from error
    ends = {(topic, share.partition): end for share in shares for topic, end in share.ends.items()}
    found = _ends(settings, counts)
    if wrong := [place for place, end in found.items() if ends.get(place, 0) != end]:
        raise NotGenerated(
            f"Kafka holds other records of {wrong[0]} than were written: empty the system, begin again."
        )
    for name in plan.services:
        _commit(settings, name, partitions, ends)
    if gateway:
        keep_rows(gateway, (row for share in shares for row in share.rows))
    return {topic: sum(end for (t, _), end in ends.items() if t == topic) for topic in counts}


def _write_share(settings: Settings, plan: Plan, partition: int, partitions: int) -> Share:
    """Everything of one partition, in a process of its own."""
    gc.disable()  # records have no cycles, and looking for some took a sixth of the time
    producer = Producer(
        {
            **common(settings),
            "enable.idempotence": True,  # so what is written has the order in which it was produced
            "acks": "all",
            "linger.ms": 50,
            "compression.type": "lz4",
        }
    )

    def write(raw: Raw) -> None:
        while True:
            try:
                producer.produce(
                    settings.topic(raw.topic),
                    key=raw.key,
                    value=raw.value,
                    partition=raw.partition,
                    headers=raw.headers,  # type: ignore[arg-type]
                    timestamp=raw.timestamp,
                )
                return
            except BufferError:
                producer.poll(0.1)

    world = World(partition, partitions, write, plan.services, settings)
    for begin, commands in lives(plan, partition, partitions):
        world.now = max(world.now, begin)
        world.live(*commands)
    producer.flush()
    return Share(partition, world.ends, world.gateway.rows)


def _partitions(settings: Settings) -> dict[str, int]:
    """How many partitions each topic has. Raises NotGenerated if one of them holds records."""
    found = AdminClient(common(settings)).list_topics(timeout=10.0).topics
    names = [topic.name for topic in topics() if topic.partitions is None]
    counts = {name: len(found[settings.topic(name)].partitions) for name in names}
    for (topic, number), end in _ends(settings, counts).items():
        if end:
            raise NotGenerated(
                f"{topic}-{number} holds records, but logs can be generated from their beginning only: "
                "empty the system with `make clean`, or name another one with --topic-prefix."
            )
    return counts


def _ends(settings: Settings, counts: Mapping[str, int]) -> dict[Place, int]:
    """The end of every partition, asked for again while a topic that was just made has no leader yet."""
    admin, deadline = AdminClient(common(settings)), time.monotonic() + PATIENCE
    places = {
        (topic, number): TopicPartition(settings.topic(topic), number)
        for topic in counts
        for number in range(counts[topic])
    }
    while True:
        asked = admin.list_offsets({place: OffsetSpec.latest() for place in places.values()})  # type: ignore[no-untyped-call]
        try:
            return {place: int(asked[named].result().offset) for place, named in places.items()}
        except KafkaException as exception:
            if not passes(exception.args[0]) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _commit(settings: Settings, name: str, partitions: int, ends: Mapping[Place, int]) -> None:
    """Have a service's group begin where its logs end. Raises NotGenerated if the service runs."""
    probe = probe_consumer(settings, name, "read_committed")
    read = load(BY_NAME[name].wiring).input_topics()
    offsets = [
        TopicPartition(settings.topic(topic), number, ends.get((topic, number), 0))
        for topic in (*read, BY_NAME[name].admin)
        for number in range(partitions)
    ]
    try:
        committed = probe.commit(offsets=offsets, asynchronous=False) or []
        error = next((place.error for place in committed if place.error), None)
    except KafkaException as exception:
        error = exception.args[0]
    finally:
        probe.close()
    if error:
        raise NotGenerated(
            f"{name} cannot be told where to begin ({error.str()}): does it run? End it first."
        )


def keep_rows(path: Path, rows: Iterable[Row]) -> None:
    """Add to the payment simulator's record, which is not running."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript(TABLES)
        marks = ", ".join("?" * (len(Row._fields) - 1))
        db.executemany(
            f"INSERT INTO attempts ({COLUMNS}) VALUES (NULL, {marks})", (tuple(row)[1:] for row in rows)
        )
    db.close()


def main() -> int:
    """Read the options, generate, say what was written."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate_orders", description=__doc__)
    parser.add_argument("orders", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--begin", type=int, help="time of the first order, ms since epoch (default: so that they end now)"
    )
    parser.add_argument(
        "--bootstrap-servers", help="Kafka (default: that of the local stack, which must be down)"
    )
    parser.add_argument("--topic-prefix", default="", help="before every topic")
    parser.add_argument(
        "--gateway", type=Path, help="file of the simulator's record (default: that of the local stack)"
    )
    options = parser.parse_args()
    stack = StackSettings.from_env(os.environ)
    write_privately()
    with ExitStack() as running:
        servers, gateway = options.bootstrap_servers, options.gateway
        if not servers:
            kafka = LocalKafka(stack.run_dir, stack.kafka_port, stack.controller_port, heap="512m")
            servers = running.enter_context(kafka).bootstrap_servers
            gateway = gateway or stack.run_dir / "simulator" / "payments.db"
        settings = Settings(bootstrap_servers=servers, topic_prefix=options.topic_prefix)
        create(settings, topics())
        begin = options.begin or time.time_ns() // 1_000_000 - options.orders * PACE // settings.partitions
        began = time.monotonic()
        counts = generate(settings, Plan(options.orders, options.seed, begin), gateway)
        took = time.monotonic() - began
    for topic, count in counts.items():
        if count:
            print(f"{count:>12,} records in {topic}")
    print(f"{options.orders:,} orders in {took:.1f} s, {options.orders / took:,.0f} a second")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NotGenerated, StackError) as error:
        sys.exit(str(error))
