"""The state of one replica in SQLite: a fold of the service's own logs that can be deleted at any time.

For each key of each log it keeps the folded state, the number of events folded (the key's version), and which inputs
those events answered; for each partition the offset up to which the log is folded. All of it moves in one local
transaction, after the Kafka transaction that made it true.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventbus.model.decider import Decider
from eventbus.model.folding import RULES, Entry, Folded
from eventbus.model.listing import Listing, Place
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity, Partition, Position
from eventbus.retry.parked import FORMAT as RETRY_FORMAT
from eventbus.retry.parked import Parked
from eventbus.state.listing import Change, Choice, page_query, write_rows
from eventbus.state.parked import ParkedStore
from eventbus.state.recent import RecentStates
from eventbus.state.serializer import Row, StateSerializer, to_json
from eventbus.state.shape import ddl_of, shape_of

S = TypeVar("S")
FORMAT = 4
"""Raise it whenever these tables change, or what this library itself folds a log to: all state is then rebuilt."""
WAL_PAGES = 4_000
"""Pages of 4 KB in the write-ahead log before they are copied into the database: 16 MB. The pages that change in each
transaction are copied once then, not once for every 1,000 (SQLite's own choice)."""

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (log TEXT, partition INTEGER, next INTEGER NOT NULL,
    PRIMARY KEY (log, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passed_over (log TEXT, partition INTEGER, rules INTEGER NOT NULL,
    PRIMARY KEY (log, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (log TEXT, key TEXT, partition INTEGER NOT NULL, version INTEGER NOT NULL,
    answered BLOB NOT NULL, updated INTEGER NOT NULL, body BLOB NOT NULL, due INTEGER, PRIMARY KEY (log, key))
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS states_due ON states (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS table_rows (log TEXT, key TEXT, field TEXT, row TEXT, partition INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (log, key, field, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (topic TEXT, coordinates TEXT, log TEXT NOT NULL, key TEXT NOT NULL,
    partition INTEGER NOT NULL, sequence INTEGER NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL,
    since INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (topic, coordinates)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parked_open ON parked (key, log, sequence) WHERE open;
CREATE TABLE IF NOT EXISTS skips (topic TEXT, partition INTEGER, "offset" INTEGER,
    PRIMARY KEY (topic, partition, "offset")) WITHOUT ROWID;
"""


class Store:
    """One connection to a replica's database. The processor writes; HTTP reads through one of its own."""

    def __init__(
        self, path: Path, deciders: Iterable[Decider[Any]], *, retry: str = "", read_only: bool = False
    ) -> None:
        self.path, self.retry = path, retry
        if not read_only:
            path.touch(0o600)  # SQLite gives the files beside it (-wal, -shm) the same mode
        self.db = sqlite3.connect(
            f"file:{path}?mode={'ro' if read_only else 'rwc'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        self.db.row_factory = sqlite3.Row
        self.deciders = {d.log: d for d in deciders}
        self.recent = RecentStates()
        self._freezers: dict[str, StateSerializer[Any]] = {
            d.log: StateSerializer(d) for d in self.deciders.values()
        }
        if not read_only:
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.db.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
            self._forget_other_formats()
            self.db.executescript(TABLES)
        self.db.execute("PRAGMA busy_timeout=5000")
        self.parked = ParkedStore(self.db, retry)

    def _forget_other_formats(self) -> None:
        """Tables of another version of this file hold nothing that the logs do not."""
        if self.db.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            for row in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                self.db.execute(f"DROP TABLE {row['name']}")
            self.db.execute(f"PRAGMA user_version = {FORMAT}")

    def close(self) -> None:
        self.db.close()

    def adopt(self, cluster_id: str, topic_ids: Mapping[str, str]) -> list[str]:
        """Forget what was folded from another cluster, another topic of the same name, by another fold version, into
        another shape, or by code that passed over records which this code may read. Makes the projections' tables.

        Returns the logs, and the partitions of others, that will be rebuilt from their beginning.
        """
        forgotten = []
        for log, decider in self.deciders.items():
            mark = json.dumps([FORMAT, cluster_id, topic_ids[log], decider.fold_version, *shape_of(decider)])
            row = self.db.execute("SELECT value FROM meta WHERE name = ?", (log,)).fetchone()
            if row is None or row["value"] != mark:
                self.db.execute("BEGIN IMMEDIATE")
                self._forget(decider)
                self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (log, mark))
                self.db.execute("COMMIT")
                forgotten.append(log)
        for topic in (t for t in topic_ids if t.endswith(".retry")):
            # A record for a log that no decider had was passed over, and so was one in a newer format.
            reads = [RULES, RETRY_FORMAT, *sorted(self.deciders)]
            self._adopt_retry(topic, json.dumps([FORMAT, cluster_id, topic_ids[topic], *reads]))
        forgotten += self._forget_passed_over()
        self.parked = ParkedStore(self.db, self.retry)
        return forgotten

    def _forget_passed_over(self) -> list[str]:
        """Forget the partitions of which code with other rules passed something over: it may count for this code."""
        rows = self.db.execute("SELECT log, partition FROM passed_over WHERE rules != ?", (RULES,)).fetchall()
        self.db.execute("BEGIN IMMEDIATE")
        for row in rows:
            self._forget_partition(row["log"], row["partition"])
        self.db.execute("COMMIT")
        return [str(Partition(row["log"], row["partition"])) for row in rows]

    def set_aside(self, skips: Iterable[Position]) -> list[Partition]:
        """Take over which records are skipped. Returns the (topic, partition) that are folded anew because of that.

        A partition is forgotten if it was folded beyond a record whose standing has changed.
        """
        known = {Position(*row) for row in self.db.execute('SELECT topic, partition, "offset" FROM skips')}
        wanted = set(skips)
        changed = {s for s in known ^ wanted if s.offset < self.checkpoint(s.topic, s.partition)}
        parts = sorted({Partition(s.topic, s.partition) for s in changed})
        self.db.execute("BEGIN IMMEDIATE")
        for topic, partition in parts:
            self._forget_partition(topic, partition)
        self.db.execute("DELETE FROM skips")
        self.db.executemany("INSERT INTO skips VALUES (?, ?, ?)", wanted)
        self.db.execute("COMMIT")
        if parts:
            self.parked = ParkedStore(self.db, self.retry)
        return parts

    def _forget_partition(self, topic: str, partition: int) -> None:
        self.recent.clear()
        for table in ("states", "table_rows", "checkpoints", "passed_over"):
            self.db.execute(f"DELETE FROM {table} WHERE log = ? AND partition = ?", (topic, partition))
        self.db.execute("DELETE FROM parked WHERE topic = ? AND partition = ?", (topic, partition))
        decider = self.deciders.get(topic)
        for table in _tables(decider) if decider else ():
            self.db.execute(f"DELETE FROM {table} WHERE partition = ?", (partition,))

    def _adopt_retry(self, topic: str, mark: str) -> None:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (topic,)).fetchone()
        if row is None or row["value"] != mark:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("DELETE FROM checkpoints WHERE log = ?", (topic,))
            self.db.execute("DELETE FROM parked WHERE topic = ?", (topic,))
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (topic, mark))
            self.db.execute("COMMIT")

    def _forget(self, decider: Decider[Any]) -> None:
        self.recent.clear()
        for table in ("checkpoints", "passed_over", "states", "table_rows"):
            self.db.execute(f"DELETE FROM {table} WHERE log = ?", (decider.log,))
        for table in _tables(decider):
            self.db.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in ddl_of(decider).split(";"):
            self.db.execute(statement)

    def checkpoint(self, log: str, partition: int) -> int:
        """The offset from which the log is not folded yet."""
        row = self.db.execute(
            "SELECT next FROM checkpoints WHERE log = ? AND partition = ?", (log, partition)
        ).fetchone()
        return int(row["next"]) if row else 0

    def load(self, decider: Decider[S], key: str) -> Folded[S]:
        """The state of one key; the decider's initial one for a key without events."""
        recent = self.recent.get(Entity(decider.log, key))
        return self._load(decider, key) if recent is None else recent

    def _load(self, decider: Decider[S], key: str) -> Folded[S]:
        """The same from its row, whatever is kept in memory."""
        row = self.db.execute(
            "SELECT version, answered, updated, body FROM states WHERE log = ? AND key = ?",
            (decider.log, key),
        ).fetchone()
        freezer = self._freezers[decider.log]
        if row is None:
            return Folded(freezer.fresh(decider.initial, self._row_of(decider.log, key)))
        state = freezer.load(row["body"], self._row_of(decider.log, key))
        return Folded(state, row["version"], row["updated"], msgspec.json.decode(row["answered"]))

    def read(self, decider: Decider[S], key: str) -> Entry[S] | None:
        """The state of one key, or None if it has no events."""
        folded = self.load(decider, key)
        return Entry(key, folded.version, folded.state, folded.updated_at) if folded.version else None

    def write(
        self,
        folds: Mapping[Entity, tuple[int, Folded[Any]]],
        events: Iterable[Envelope],
        checkpoints: Mapping[Partition, int],
        parked: Iterable[tuple[str, Parked]] = (),
        passed: Iterable[Partition] = (),
    ) -> None:
        """Move states, projections and checkpoints on, in one local transaction.

        ``folds``: by (log, key), the partition and the new state; ``events``: what led there, in order;
        ``checkpoints``: by (log, partition), the next offset to fold; ``parked``: what retry topics say;
        ``passed``: the partitions of which a record was passed over as foreign.
        """
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            written = self._write_states(folds)
            for event in events:
                projection = self.deciders[event.topic].projection
                if projection:
                    projection.apply(db, event)
            self._write_listings(folds)
            for topic, waits in parked:
                self.parked.write(topic, [waits])
            db.executemany(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)",
                [(log, partition, upto) for (log, partition), upto in checkpoints.items()],
            )
            if rows := [(*part, RULES) for part in passed]:
                db.executemany("INSERT OR REPLACE INTO passed_over VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk has SQLite roll back by itself
                db.execute("ROLLBACK")
            raise
        for entity, folded, size in written:
            self.recent.put(entity, folded, size)

    def _write_states(
        self, folds: Mapping[Entity, tuple[int, Folded[Any]]]
    ) -> list[tuple[Entity, Folded[Any], int]]:
        """Write a row for each state, and the rows of its tables. Returns what is stored then, and its bytes."""
        rows: list[tuple[Any, ...]] = []
        of_tables: list[tuple[Any, ...]] = []
        written: list[tuple[Entity, Folded[Any], int]] = []
        for entity, (partition, folded) in folds.items():
            (log, key), state = entity, folded.state
            freezer, deadline = self._freezers[log], self.deciders[log].deadline
            body, due = freezer.dump(state), deadline(state) if deadline else None
            rows.append(
                (log, key, partition, folded.version, to_json(folded.answered), folded.updated_at, body, due)
            )
            if freezer.has_tables:
                of_tables += [(log, key, name, row, partition, b) for name, row, b in freezer.rows(state)]
                stored = freezer.fresh(state, self._row_of(log, key))
                folded = Folded(stored, folded.version, folded.updated_at, folded.answered)
            written.append((entity, folded, len(body)))
        self.db.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if of_tables:
            self.db.executemany("INSERT OR REPLACE INTO table_rows VALUES (?, ?, ?, ?, ?, ?)", of_tables)
        return written

    def _write_listings(self, folds: Mapping[Entity, tuple[int, Folded[Any]]]) -> None:
        for log, decider in self.deciders.items():
            if listing := decider.listing:
                of_log = ((entity, *fold) for entity, fold in folds.items() if entity.log == log)
                write_rows(self.db, listing, self._changes(listing, of_log))

    def _changes(
        self, listing: Listing[Any], folds: Iterable[tuple[Entity, int, Folded[Any]]]
    ) -> Iterator[Change]:
        for entity, partition, folded in folds:
            if row := listing.row(folded.state):
                stored = self.recent.get(entity)
                before = listing.row(stored.state) if stored else None
                yield Change(entity.key, partition, row, before)

    def page(
        self, decider: Decider[S], chosen: Choice, behind: Place, since: int, limit: int
    ) -> Iterator[tuple[Place, Entry[S]]]:
        """A page of the decider's listing: so many entries at most that stand behind a place and are later than
        ``since``. Each is decoded when it is asked for; all are of the moment of the call."""
        assert decider.listing
        query = page_query(decider.listing, decider.log, chosen, behind, since, limit)
        freezer, rows = self._freezers[decider.log], self.db.execute(*query).fetchall()

        def entry(row: sqlite3.Row) -> Entry[S]:
            state = freezer.load(row["body"], self._row_of(decider.log, row["key"]))
            return Entry(row["key"], row["version"], state, row["updated"])

        return ((Place(row["at"], row["key"]), entry(row)) for row in rows)

    def due(self, now: int, partitions: Iterable[int]) -> list[tuple[Entity, int]]:
        """The keys of these partitions whose deadline has passed, each with the deadline; oldest first."""
        wanted = list(partitions)
        rows = self.db.execute(
            f"SELECT log, key, due FROM states WHERE due <= ? AND partition IN ({', '.join('?' * len(wanted))}) "
            "ORDER BY due LIMIT 1000",
            (now, *wanted),
        ).fetchall()
        return [(Entity(row["log"], row["key"]), row["due"]) for row in rows]

    def _row_of(self, log: str, key: str) -> Row:
        def row(name: str, row_key: str) -> bytes | None:
            found = self.db.execute(
                "SELECT body FROM table_rows WHERE log = ? AND key = ? AND field = ? AND row = ?",
                (log, key, name, row_key),
            ).fetchone()
            return None if found is None else found["body"]

        return row


def _tables(decider: Decider[Any]) -> list[str]:
    """The tables of its projection and of its listing."""
    marker = "CREATE TABLE IF NOT EXISTS "
    return [part.split("(")[0].split()[0] for part in ddl_of(decider).split(marker)[1:]]
