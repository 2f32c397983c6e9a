"""One stateful exactly-once hop, one process, batches full: this project's library, a bare loop, and peers."""

from __future__ import annotations

from collections.abc import Callable

from bench.baskets.__main__ import service
from bench.parts.basket_topics import Topics
from bench.parts.passage import Passage, passage
from bench.processes import Module
from bench.result import Better, Round, Row
from bench.run import PARTITIONS, Run
from eventbus import Settings
from eventbus.kafka.topics import create, topics_of
from tools.stack.ports import free_port

PER_SECOND = 5_000
"""Commands that are put ready for each second of a window."""


def hop(bench: Run) -> list[Row]:
    """The service of ``bench.baskets`` beside a bare loop that reads and writes the same bytes."""
    what = "bare confluent-kafka and fastavro loop, same bytes, state in a dict and SQLite"
    return [beside(bench, bare, "stateful-hop", 0.5, what)]


def beside(
    bench: Run, other: Callable[[Run, Topics], Passage], name: str, goal: float | None, reference: str
) -> Row:
    """The service beside another program: in each round both take the same commands."""
    sources: dict[float, Topics] = {}

    def source(seconds: float) -> Topics:
        if seconds in sources:
            return sources.pop(seconds)
        sources[seconds] = Topics(bench.kafka.bootstrap_servers, round(PER_SECOND * seconds))
        return sources[seconds]

    found = bench.pairs(
        name,
        lambda seconds: ours(bench, source(seconds)),
        lambda seconds: other(bench, source(seconds)),
        lambda mine, its: f"{mine.rate:.0f} / {its.rate:.0f} messages/s",
    )
    last_ours, last_other = found[-1]
    return Row(
        name,
        "one stateful exactly-once hop, one process, batches full",
        "messages/s",
        Better.HIGHER,
        reference,
        goal,
        [Round(mine.rate, its.rate) for mine, its in found],
        {
            "CPU µs a message": last_ours.cpu,
            "reference's CPU µs a message": last_other.cpu,
            "reference's share of raw produce": round(last_other.rate / bench.raw_produce, 3),
        },
    )


def ours(bench: Run, topics: Topics) -> Passage:
    """The service as it runs anywhere, beginning with an empty state."""
    target = topics.target("basket.events")
    settings = Settings(bootstrap_servers=topics.servers, topic_prefix=topics.prefix, partitions=PARTITIONS)
    create(settings, topics_of(service.name, service.deciders))
    env = {
        "EVENTBUS_BOOTSTRAP_SERVERS": topics.servers,
        "EVENTBUS_TOPIC_PREFIX": topics.prefix,
        "EVENTBUS_STATE_DIR": str(bench.run_dir / "baskets" / topics.prefix),
        "EVENTBUS_HTTP_PORT": str(free_port()),
    }
    process = Module(bench.run_dir / "baskets.log", "bench.baskets", env=env)
    group = f"{topics.prefix}{service.name}"
    return passage(topics.servers, group, topics.source, target, process, bench.broker)


def bare(bench: Run, topics: Topics) -> Passage:
    """The loop of ``bench.bare.basket_hop``."""
    target = topics.target("bare.events")
    arguments = ["--servers", topics.servers, "--source", topics.source, "--target", target]
    process = Module(bench.run_dir / "basket_hop.log", "bench.bare.basket_hop", arguments)
    group = f"basket_hop.{topics.source}"
    return passage(topics.servers, group, topics.source, target, process, bench.broker)
