"""A group that begins now, over seeds with crashes, aborts and rebalances: from its position on it reads all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from eventbus.model.places import Partition
from eventbus.processing.processor import Processor
from verification.sim.apply_faults import apply
from verification.sim.consumers import Fetched, InputConsumer
from verification.sim.drawing import draw_plan
from verification.sim.groups import Place
from verification.sim.service import Service
from verification.sim.simulation import Simulation
from verification.sim.wiring import services

SEEDS = range(60)
BEGINS = "notification"


class FirstKept(dict[Place, int]):
    """The offsets that a group has committed, and the first of each partition."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[Place, int] = {}

    def __setitem__(self, place: Place, upto: int) -> None:
        self.first.setdefault(place, upto)
        super().__setitem__(place, upto)


def lived(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Run a seed; how many records of before were passed over, and what of after was never read."""
    read: defaultdict[Place, set[int]] = defaultdict(set)
    consume = InputConsumer.consume

    def begins_now(*arguments: Any) -> dict[str, Service]:
        found = services(*arguments)
        return found | {BEGINS: replace(found[BEGINS], start_from="now")}

    def noted(self: InputConsumer, most: int, timeout: float) -> list[Fetched]:
        taken = consume(self, most, timeout)
        if self._name.startswith(BEGINS):
            for fetched in taken:
                read[fetched.topic(), fetched.partition()].add(fetched.offset())
        return taken

    with monkeypatch.context() as patch:
        patch.setattr("verification.sim.simulation.services", begins_now)
        patch.setattr(InputConsumer, "consume", noted)
        plan = draw_plan(seed)
        # "replay" deletes the group's offsets, which a service that begins now refuses
        simulation = Simulation(replace(plan, faults=tuple(f for f in plan.faults if f.what != "replay")))
        committed = simulation.broker.groups[BEGINS].committed = FirstKept()
        simulation.run(apply)

    passed, missed = 0, []
    for (topic, partition), first in committed.first.items():
        for record in simulation.broker.log(topic, partition).visible():
            passed += record.offset < first
            if (
                first <= record.offset < committed[topic, partition]
                and record.offset not in read[topic, partition]
            ):
                missed.append(f"seed {seed}: {topic}-{partition}-{record.offset}")
    return passed, missed + [f"seed {seed}: {left}" for left in simulation.unfinished if BEGINS in left]


def test_from_its_position_on_every_record_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [lived(seed, monkeypatch) for seed in SEEDS]
    assert [line for _, missed in results for line in missed] == []
    assert sum(passed for passed, _ in results) > 0, "no seed has a history to pass over"


def test_a_position_that_is_not_committed_at_once_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `auto.offset.reset=latest` does: each takeover before the first commit begins at the end of then."""

    def tasks_found(self: Processor, committed: dict[Partition, int]) -> bool:
        for partition, upto in (committed | self._starting.of(committed)).items():
            self._offsets.lead(partition, upto)
        return True

    monkeypatch.setattr(Processor, "tasks_found", tasks_found)
    assert any(missed for seed in SEEDS for _, missed in [lived(seed, monkeypatch)])
