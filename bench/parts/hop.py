"""One stateful exactly-once hop, one process, batches full: this project's library, a bare loop, and peers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.baskets.__main__ import service
from bench.parts.basket_topics import Topics
from bench.parts.passage import Passage, passage
from bench.peers.environment import python_of, version_of
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
    return [
        _row(
            bench,
            bare,
            "stateful-hop",
            0.5,
            "bare confluent-kafka and fastavro loop, same bytes, state in a dict and SQLite",
        )
    ]


def quix_hop(bench: Run) -> list[Row]:
    """The same service beside a Quix Streams application that does the same work."""
    python = python_of("quix", bench.run_dir.parent / "bench-peers")
    version = version_of(python, "quixstreams")
    return [
        _row(
            bench,
            partial(quix, python=python),
            "quix-hop",
            1.5,
            f"Quix Streams {version}, exactly-once with state",
        )
    ]


def _row(bench: Run, other: Callable[[Run, Topics], Passage], name: str, goal: float, reference: str) -> Row:
    """Both read the same topic in each round."""
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


def quix(bench: Run, topics: Topics, python: Path) -> Passage:
    """The application of ``bench.peers.quix``."""
    target, group = topics.target("quix.events"), f"quix.{topics.source}"
    arguments = ["--servers", topics.servers, "--source", topics.source, "--target", target, "--group", group]
    arguments += ["--state", str(bench.run_dir / "quix" / topics.prefix)]
    process = Module(bench.run_dir / "quix.log", "bench.peers.quix.hop", arguments, python=python)
    return passage(topics.servers, group, topics.source, target, process, bench.broker)
