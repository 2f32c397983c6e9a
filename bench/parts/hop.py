"""One stateful exactly-once hop, one process, batches full: this project's library, a bare loop, and peers."""

from __future__ import annotations

from bench.baskets.__main__ import service
from bench.parts.passage import Passage, Topics, passage
from bench.processes import Module
from bench.result import Better, Round, Row
from bench.run import Run
from eventbus import Settings
from eventbus.kafka.topics import create, topics_of
from tools.stack.ports import free_port

PER_SECOND = 5_000
"""Commands that are put ready for each second of a window."""
WHAT = "one stateful exactly-once hop, one process, batches full"


def hop(bench: Run) -> list[Row]:
    """The service of ``bench.baskets`` beside a bare loop that reads and writes the same bytes."""
    sources: dict[float, Topics] = {}

    def source(seconds: float) -> Topics:
        """Both of a round read the same topic."""
        found = sources.pop(seconds, None)
        if found is None:
            found = sources[seconds] = _topics(bench, seconds)
        return found

    found = bench.pairs(
        "a stateful hop",
        lambda seconds: ours(bench, source(seconds)),
        lambda seconds: bare(bench, source(seconds)),
        lambda mine, other: f"{mine.rate:.0f} / {other.rate:.0f} messages/s",
    )
    last_ours, last_bare = found[-1]
    row = Row(
        "stateful-hop",
        WHAT,
        "messages/s",
        Better.HIGHER,
        "bare confluent-kafka and fastavro loop, same bytes, state in a dict and SQLite",
        0.5,
        [Round(mine.rate, other.rate) for mine, other in found],
        {"CPU µs a message": last_ours.cpu, "reference's CPU µs a message": last_bare.cpu},
    )
    return [row]


def _topics(bench: Run, seconds: float) -> Topics:
    return Topics(bench.kafka.bootstrap_servers, round(PER_SECOND * seconds))


def ours(bench: Run, topics: Topics) -> Passage:
    """The service as it runs anywhere, beginning with an empty state."""
    target = topics.target("basket.events")
    settings = Settings(
        bootstrap_servers=topics.servers, topic_prefix=topics.prefix, partitions=topics.partitions
    )
    create(settings, topics_of(service.name, service.deciders))
    env = {
        "EVENTBUS_BOOTSTRAP_SERVERS": topics.servers,
        "EVENTBUS_TOPIC_PREFIX": topics.prefix,
        "EVENTBUS_STATE_DIR": str(bench.run_dir / "baskets" / topics.prefix),
        "EVENTBUS_HTTP_PORT": str(free_port()),
    }
    process = Module(bench.run_dir / "baskets.log", "bench.baskets", env=env)
    return passage(topics, f"{topics.prefix}{service.name}", target, process, broker(bench))


def bare(bench: Run, topics: Topics) -> Passage:
    """The loop of ``bench.bare.basket_hop``."""
    target = topics.target("bare.events")
    arguments = ["--servers", topics.servers, "--source", topics.source, "--target", target]
    process = Module(bench.run_dir / "basket_hop.log", "bench.bare.basket_hop", arguments)
    return passage(topics, f"basket_hop.{topics.source}", target, process, broker(bench))


def broker(bench: Run) -> int:
    """The process of the references' broker."""
    process = bench.kafka.process
    assert process is not None
    return process.pid
