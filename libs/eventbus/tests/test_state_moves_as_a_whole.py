"""The store: state by key, moved only as a whole, forgotten when the rules or the cluster are others."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from eventbus import Decider, Envelope, Event, Message, Table
from eventbus.model.errors import Fenced, NeedsRestart
from eventbus.model.folding import Folded, fold
from eventbus.model.places import Entity, Partition, Position
from eventbus.service.slot import Slot
from eventbus.state.store import Store


@dataclass(frozen=True)
class Counted(Event):
    """So many of a thing were counted."""

    thing: str
    amount: int

    @property
    def key(self) -> str:
        return self.thing


@dataclass(frozen=True)
class Count:
    total: int = 0
    seen: tuple[int, ...] = ()
    rows: Table[int] = field(default_factory=Table)


class Totals:
    """A projection: the sum of all."""

    tables = "CREATE TABLE IF NOT EXISTS totals (thing TEXT PRIMARY KEY, partition INTEGER, total INTEGER)"

    def apply(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        event = envelope.message
        assert isinstance(event, Counted)
        if event.amount < 0:
            raise ValueError("nobody counts so")
        db.execute(
            "INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET total = total + excluded.total",
            (event.thing, envelope.partition, event.amount),
        )


def evolve(count: Count, event: Counted) -> Count:
    rows = count.rows.put(str(event.amount), event.amount)
    return Count(count.total + event.amount, (*count.seen, event.amount), rows)


LOG = "count.events"
DECIDER: Decider[Count] = Decider(
    log=LOG, inputs=(), initial=Count(), decide=lambda m, s: [], evolve=evolve, projection=Totals()
)


def event(version: int, amount: int = 1, *, thing: str = "cup", cause: str | None = None) -> Envelope:
    message: Message = Counted(thing, amount)
    return Envelope(
        message=message,
        id=f"{thing}-{version}",
        time=1000 + version,
        source="/count",
        correlation_id="c",
        cause=cause,
        key_version=version,
        traceparent=None,
        topic=LOG,
        partition=0,
        offset=version,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def store(path: Path) -> Store:
    store = Store(path, [DECIDER])
    store.adopt("cluster", {LOG: "topic"})
    return store


def write(store: Store, *events: Envelope) -> None:
    folded = store.load(DECIDER, "cup")
    for one in events:
        folded = fold(DECIDER, folded, one)
    store.write({Entity(LOG, "cup"): (0, folded)}, events, {Partition(LOG, 0): events[-1].offset + 1})


def test_an_event_seen_before_changes_nothing_and_one_after_a_gap_is_refused() -> None:
    once = fold(DECIDER, Folded(Count()), event(1))

    assert fold(DECIDER, once, event(1, 5)) is once
    with pytest.raises(NeedsRestart, match="an event between them is missing"):
        fold(DECIDER, once, event(3))


def test_what_an_event_answers_is_remembered_by_topic() -> None:
    folded = fold(DECIDER, Folded(Count()), event(1, cause="count.commands-0-7"))

    assert folded.has_answered("count.commands", 7) and folded.has_answered("count.commands", 6)
    assert not folded.has_answered("count.commands", 8)
    assert not folded.has_answered("other.commands", 7)


def test_what_is_written_is_read_back(store: Store, path: Path) -> None:
    write(store, event(1, 2), event(2, 3))

    for reader in (store, Store(path, [DECIDER], read_only=True)):
        entry = reader.read(DECIDER, "cup")
        assert entry is not None
        assert (entry.version, entry.state.total, entry.state.seen, entry.updated_at) == (2, 5, (2, 3), 1002)
        assert (entry.state.rows["3"], entry.state.rows.get("4")) == (3, None)
        assert entry.state.rows.changes() == {}, "rows that are stored are not written again"
        assert reader.checkpoint(LOG, 0) == 3
        assert reader.db.execute("SELECT total FROM totals").fetchone()[0] == 5
        assert reader.read(DECIDER, "pot") is None


def test_a_write_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    write(store, event(1, 2))

    with pytest.raises(ValueError, match="nobody counts so"):
        write(store, event(2, 3), event(3, -1))

    entry = store.read(DECIDER, "cup")
    assert entry is not None and entry.version == 1
    assert store.checkpoint(LOG, 0) == 2
    assert store.db.execute("SELECT total FROM totals").fetchone()[0] == 2


@pytest.mark.parametrize(
    ("cluster", "topic", "kept"),
    [("cluster", "topic", True), ("another", "topic", False), ("cluster", "made anew", False)],
)
def test_state_of_another_cluster_or_topic_is_forgotten(
    store: Store, cluster: str, topic: str, kept: bool
) -> None:
    write(store, event(1, 2))

    assert store.adopt(cluster, {LOG: topic}) == ([] if kept else [LOG])

    assert (store.read(DECIDER, "cup") is not None) is kept
    assert store.checkpoint(LOG, 0) == (2 if kept else 0)
    assert store.db.execute("SELECT count(*) FROM totals").fetchone()[0] == kept
    assert store.load(DECIDER, "cup").state.rows.get("2") == (2 if kept else None)


def test_a_partition_of_which_other_rules_passed_something_over_is_rebuilt_once_and_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, event(1, 2))
    store.write({}, [], {Partition(LOG, 1): 7, Partition(LOG, 2): 4}, passed=[Partition(LOG, 1)])
    assert store.adopt("cluster", {LOG: "topic"}) == [], "the same rules would pass the same over"

    monkeypatch.setattr("eventbus.state.store.RULES", 2)
    assert store.adopt("cluster", {LOG: "topic"}) == [f"{LOG}-1"]
    assert [store.checkpoint(LOG, i) for i in range(3)] == [2, 0, 4]
    assert store.read(DECIDER, "cup") is not None
    store.write({}, [], {Partition(LOG, 1): 7}, passed=[Partition(LOG, 1)])
    assert store.adopt("cluster", {LOG: "topic"}) == [], "once"

    monkeypatch.setattr("eventbus.state.store.RULES", 1)
    assert store.adopt("cluster", {LOG: "topic"}) == [f"{LOG}-1"], (
        "a release that was taken back rebuilds too"
    )


def test_a_write_that_fails_notes_no_record_as_passed_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="nobody counts so"):
        store.write({}, [event(1, -1)], {Partition(LOG, 0): 2}, passed=[Partition(LOG, 0)])
    monkeypatch.setattr("eventbus.state.store.RULES", 2)
    assert store.adopt("cluster", {LOG: "topic"}) == []


def test_a_store_of_code_that_noted_nothing_is_rebuilt_once(store: Store) -> None:
    """The code before this format passed records over that newer code had written, and noted it nowhere."""
    write(store, event(1, 2))
    store.db.execute("PRAGMA user_version = 2")
    assert reopened(store, DECIDER) == [LOG]
    assert reopened(store, DECIDER) == []


@pytest.mark.parametrize("change", ["format", "logs"])
def test_what_waits_is_read_anew_by_code_that_reads_more_of_a_retry_topic(
    store: Store, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    topics, deciders = {LOG: "topic", "count.retry": "topic"}, [DECIDER]
    store.adopt("cluster", topics)
    store.write({}, [], {Partition("count.retry", 0): 5})
    if change == "format":
        monkeypatch.setattr("eventbus.state.store.RETRY_FORMAT", 2)
    else:
        deciders.append(replace(DECIDER, log="other.events", projection=None))
    for checkpoint in (0, 5):
        store = Store(store.path, deciders)
        store.adopt("cluster", {**topics, "other.events": "topic"})
        assert store.checkpoint("count.retry", 0) == checkpoint
        store.write({}, [], {Partition("count.retry", 0): 5})


def reopened(store: Store, decider: Decider[Any]) -> list[str]:
    """What a new process forgets that opens the same database with ``decider``."""
    store.close()
    return Store(store.path, [decider]).adopt("cluster", {LOG: "topic"})


@pytest.mark.parametrize("written", [1, 3])
def test_state_of_another_fold_version_higher_or_lower_is_rebuilt_once(store: Store, written: int) -> None:
    assert reopened(store, replace(DECIDER, fold_version=written)) == ([LOG] if written != 1 else [])
    write(store := Store(store.path, [DECIDER]), event(1, 2))

    newer = replace(DECIDER, fold_version=2)
    assert reopened(store, newer) == [LOG]
    assert Store(store.path, [newer]).read(newer, "cup") is None
    assert reopened(store, newer) == []


class More(Totals):
    tables = Totals.tables.replace("totals", "sums")


class Indexed(Totals):
    """With a column that a table of the old shape does not have."""

    tables = (
        Totals.tables.replace("total INTEGER", "total INTEGER, at INTEGER")
        + "; CREATE INDEX IF NOT EXISTS totals_at ON totals (at)"
    )


class Reworded(Totals):
    """The same tables, laid out in another way and with words beside them."""

    tables = Totals.tables.replace(", ", ",\n        ").replace("(thing", "-- of all things\n(thing")

    def apply(self, db: sqlite3.Connection, envelope: Envelope) -> None:
        # Another comment: what is folded is the same.
        super().apply(db, envelope)


@dataclass(frozen=True)
class Renamed:
    """The fields of Count under another class name, in another order, with other defaults."""

    seen: tuple[int, ...] = (0,)
    rows: Table[int] = field(default_factory=Table)
    total: int = 7


@dataclass(frozen=True)
class Wider:
    total: int = 0
    seen: tuple[int, ...] = ()
    rows: Table[int] = field(default_factory=Table)
    place: str = ""


@dataclass(frozen=True)
class Retyped:
    total: str = ""
    seen: tuple[int, ...] = ()
    rows: Table[int] = field(default_factory=Table)


@pytest.mark.parametrize("projection", [More(), Indexed()])
def test_state_folded_into_other_tables_is_rebuilt_though_the_version_was_forgotten(
    store: Store, projection: Totals
) -> None:
    write(store, event(1, 2))

    assert reopened(store, replace(DECIDER, projection=projection)) == [LOG]


@pytest.mark.parametrize("initial", [Wider(), Retyped()])
def test_state_of_other_fields_is_rebuilt_though_the_version_was_forgotten(
    store: Store, initial: Any
) -> None:
    write(store, event(1, 2))
    other: Decider[Any] = replace(DECIDER, initial=initial)

    assert reopened(store, other) == [LOG]
    assert Store(store.path, [other]).load(other, "cup").state == initial


@pytest.mark.parametrize("change", [{"projection": Reworded()}, {"initial": Renamed()}])
def test_a_comment_a_layout_or_a_name_rebuilds_nothing(store: Store, change: dict[str, Any]) -> None:
    write(store, event(1, 2))

    assert reopened(store, replace(DECIDER, **change)) == []


def test_a_database_marked_with_a_hash_of_the_source_is_rebuilt_once(store: Store) -> None:
    """What the code before fold versions left: the same tables, a mark of four parts."""
    write(store, event(1, 2))
    mark = json.dumps([2, "cluster", "topic", "5b9a" * 16])
    store.db.execute("UPDATE meta SET value = ? WHERE name = ?", (mark, LOG))

    assert reopened(store, DECIDER) == [LOG]
    store = Store(store.path, [DECIDER])
    assert store.read(DECIDER, "cup") is None and store.checkpoint(LOG, 0) == 0
    write(store, event(1, 2))
    assert reopened(store, DECIDER) == []
    entry = Store(store.path, [DECIDER]).read(DECIDER, "cup")
    assert entry is not None and entry.state.total == 2


def test_a_skip_of_what_is_folded_forgets_its_partition_and_no_other(store: Store) -> None:
    write(store, event(1, 2))
    store.write({}, [], {Partition(LOG, 1): 9})
    place = Position(LOG, 0, 1)

    assert store.set_aside([place]) == [(LOG, 0)]
    assert store.read(DECIDER, "cup") is None
    assert store.db.execute("SELECT count(*) FROM totals").fetchone()[0] == 0
    assert (store.checkpoint(LOG, 0), store.checkpoint(LOG, 1)) == (0, 9)
    assert store.load(DECIDER, "cup").state.rows.get("2") is None


def test_a_skip_forgets_once_and_again_only_when_it_is_taken_back(store: Store) -> None:
    place, behind = Position(LOG, 0, 1), Position(LOG, 0, 5)
    write(store, event(1, 2))

    assert store.set_aside([behind]) == [], "it is not folded yet"
    assert store.set_aside([place, behind]) == [(LOG, 0)]
    write(store, event(1, 2))
    assert store.set_aside([place, behind]) == []
    assert store.set_aside([]) == [(LOG, 0)]


def test_a_slot_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = Slot(tmp_path, "order", None), Slot(tmp_path, "order", None)

    assert (first.number, second.number) == (0, 1)
    with pytest.raises(Fenced, match="EVENTBUS_SLOT"):
        Slot(tmp_path, "order", 0)
    first.release()
    assert Slot(tmp_path, "order", 0).number == 0


def test_the_transactional_id_of_a_slot_is_its_directorys_and_survives_a_restart(tmp_path: Path) -> None:
    first = Slot(tmp_path / "a", "order", 0)
    beside = Slot(tmp_path / "a", "order", 1)
    elsewhere = Slot(tmp_path / "b", "order", 0)
    ids = [slot.transactional_id for slot in (first, beside, elsewhere)]
    assert len(set(ids)) == 3 and ids[0].startswith("order-0-") and ids[1].startswith("order-1-")
    assert (first.directory / "identity").stat().st_mode & 0o777 == 0o600
    first.release()

    again = Slot(tmp_path / "a", "order", 0)
    assert again.transactional_id == ids[0]
    again.release()

    shutil.rmtree(tmp_path / "a" / "order-0")
    assert Slot(tmp_path / "a", "order", 0).transactional_id not in ids


@pytest.mark.parametrize("left", ["", "\n", "0123", "not an identity, sixteen", "\x00" * 16])
def test_an_identity_that_is_not_whole_is_made_anew_and_kept(tmp_path: Path, left: str) -> None:
    """A volume of an older version has none; a disk that was full may have left an empty one."""
    (tmp_path / "order-0").mkdir()
    (tmp_path / "order-0" / "identity").write_text(left)

    slot = Slot(tmp_path, "order", 0)
    slot.release()

    identity = slot.transactional_id.removeprefix("order-0-")
    assert len(identity) == 16 and (tmp_path / "order-0" / "identity").read_text() == f"{identity}\n"
    assert Slot(tmp_path, "order", 0).transactional_id == slot.transactional_id


class Opaque:
    """JSON cannot hold it."""


@dataclass(frozen=True)
class WithOpaque:
    inner: tuple[Opaque, ...] = ()


@dataclass(frozen=True)
class WithOpaqueRows:
    rows: Table[Opaque] = field(default_factory=Table)


@dataclass(frozen=True)
class WithEither:
    """Whether JSON holds the one or the other cannot be told."""

    either: Count | Wider | None = None


@pytest.mark.parametrize("initial", [WithOpaque(), WithOpaqueRows(), WithEither()])
def test_a_state_that_cannot_be_stored_is_refused_at_the_start_with_its_log(
    tmp_path: Path, initial: Any
) -> None:
    odd = Decider("odd.events", (), initial, lambda message, state: [], lambda state, event: state)
    with pytest.raises(
        TypeError, match=r"the state of odd\.events has a field that cannot be stored as JSON: "
    ):
        Store(tmp_path / "state.sqlite", [odd])


def test_a_state_that_is_no_dataclass_is_refused_with_its_log(tmp_path: Path) -> None:
    flag = Decider("flags.events", (), False, lambda message, state: [], lambda state, event: True)
    with pytest.raises(
        TypeError, match=r"the state of flags\.events is of type bool: make `initial` a frozen"
    ):
        Store(tmp_path / "state.sqlite", [flag])
