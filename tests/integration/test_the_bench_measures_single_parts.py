"""The rows of single parts are measured on a real broker, and a program that loses a record gives no figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from bench.parts.basket_topics import Topics
from bench.parts.hop import bare, hop, ours
from bench.parts.passage import passage
from bench.parts.payment import payment
from bench.parts.rebuild import rebuild
from bench.processes import Module, NotMeasured
from bench.result import Row
from bench.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with ExitStack() as stack:
        yield Run(tmp_path_factory.mktemp("bench"), stack, rounds=1, seconds=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("measure", [hop, rebuild, payment])
def test_a_row_is_measured(run: Run, measure: Callable[[Run], list[Row]]) -> None:
    (row,) = measure(run)
    assert row.ours > 0
    assert row.theirs > 0


def test_both_write_one_record_for_each_and_a_lost_one_is_noticed(run: Run) -> None:
    topics = Topics(run.kafka.bootstrap_servers, 200)
    assert min(ours(run, topics).rate, bare(run, topics).rate) > 0

    # a group that has committed everything, and a target that nobody has written to
    lost = topics.target("lost.events")
    idle = Module(run.run_dir / "idle.log", "http.server", ["0", "--bind", "127.0.0.1"])
    with pytest.raises(NotMeasured, match=r"holds 0 records, but 200 were to be written"):
        passage(topics.servers, f"{topics.prefix}basket", topics.source, lost, idle, run.broker)
