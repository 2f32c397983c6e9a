"""The state of a key in memory is the one in its row: after aborts, takeovers, follower writes, skips and restarts.

The simulation runs here on the store that services use, with room for few states in memory, so that they come and go.
Each state that a process loads is compared with what another connection reads from the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from eventbus import Envelope, Table
from eventbus.model.decider import Decider
from eventbus.model.folding import Folded
from eventbus.model.places import Entity, Partition, Position
from eventbus.retry.parked import Parked
from eventbus.state.recent import RecentStates
from eventbus.state.store import Store
from verification.sim.memory import MemoryStore
from verification.sim.run import run_seed

SEEDS = range(30)
ROOM = 4


class Stale(AssertionError):
    """A state in memory is not the one on disk."""


class StoreOnDisk(MemoryStore):
    """A replica's store that keeps all twice: as simulations do, and in SQLite, where states are loaded from."""

    folder = Path()
    numbers = count()
    from_memory = 0

    def __init__(self, deciders: Iterable[Decider[Any]]) -> None:
        super().__init__(deciders)
        self._path = self.folder / f"{next(self.numbers)}.sqlite"

    def adopt(self, deciders: Iterable[Decider[Any]]) -> None:
        """A new process: what the one before had in memory is gone."""
        super().adopt(deciders)
        own = self.deciders.values()
        self._disk = Store(self._path, own)
        self._disk.db.execute("PRAGMA synchronous=OFF")
        assert self._disk.adopt("cluster", {d.log: "topic" for d in own}) in ([], [d.log for d in own])
        self._file = Store(self._path, own, read_only=True)

    def load(self, decider: Decider[Any], key: str) -> Folded[Any]:
        loaded, stored = self._disk.load(decider, key), self._file.load(decider, key)
        if loaded != stored:
            raise Stale(f"{key} of {decider.log} is {loaded} in memory, {stored} on disk")
        assert loaded[1:] == super().load(decider, key)[1:], "version, time and answered inputs"
        StoreOnDisk.from_memory += self._disk.recent.get(Entity(decider.log, key)) is not None
        return loaded

    def set_aside(self, skips: Iterable[Position]) -> list[Partition]:
        wanted = list(skips)
        parts = super().set_aside(wanted)
        assert self._disk.set_aside(wanted) == parts
        return parts

    def write(
        self,
        folds: Mapping[Entity, tuple[int, Folded[Any]]],
        events: Iterable[Envelope],
        checkpoints: Mapping[Partition, int],
        parked: Iterable[tuple[str, Parked]] = (),
        passed: Iterable[Partition] = (),
    ) -> None:
        self._disk.write(folds, events, checkpoints, passed=passed)
        whole = {e: (number, self._with_all_rows(e, folded)) for e, (number, folded) in folds.items()}
        super().write(whole, events, checkpoints, parked, passed)

    def _with_all_rows(self, entity: Entity, folded: Folded[Any]) -> Folded[Any]:
        """The simulation looks at all rows of a Table. A state that was loaded from disk has those that changed."""
        before = super().load(self.deciders[entity.log], entity.key).state
        now = {
            n: v for n in folded.state.__struct_fields__ if isinstance(v := getattr(folded.state, n), Table)
        }
        tables = {n: Table({**getattr(before, n).changes(), **table.changes()}) for n, table in now.items()}
        return folded._replace(state=replace(folded.state, **tables))


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(StoreOnDisk, "folder", tmp_path)
    monkeypatch.setattr("eventbus.state.recent.MOST", ROOM)


def stale(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What seeds find that run on disk. Each must live the same life as in memory alone, if nothing is found."""
    for seed in SEEDS:
        alone = run_seed(seed)
        with monkeypatch.context() as patched:
            for module in ("replica", "apply_faults"):
                patched.setattr(f"verification.sim.{module}.MemoryStore", StoreOnDisk)
            result = run_seed(seed)
        yield from result.violations
        assert result.violations or result == alone


def test_seeds_live_the_same_life_on_the_store_of_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    before = StoreOnDisk.from_memory
    assert list(stale(monkeypatch)) == []
    assert StoreOnDisk.from_memory - before > 10 * len(SEEDS), "states were found in memory"


def test_a_state_that_is_stale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep_the_first(self: RecentStates, entity: Entity, folded: Folded[Any], size: int) -> None:
        self._states.setdefault(entity, folded)

    monkeypatch.setattr(RecentStates, "put", keep_the_first)
    assert any("Stale" in violation for violation in stale(monkeypatch))
