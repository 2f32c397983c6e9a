"""The durable record of every charge and refund, in SQLite, written by group commit.

One commit reaches the disk in about the time of one fsync, however many attempts it holds. So attempts that
come while a commit is under way wait, and go together into the next: hundreds a second are each durable
before they are answered. All are decided one after the other in one thread, so no two share a key.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eventbus.private import close_to_others
from services.payment.simulator.rules import Decision, Result, decide_charge

TABLES = """
CREATE TABLE IF NOT EXISTS attempts (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, order_id TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, method TEXT NOT NULL, outcome TEXT NOT NULL,
    id TEXT NOT NULL, reason TEXT, at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_by_order ON attempts (order_id, kind, outcome);
CREATE VIEW IF NOT EXISTS doubles AS
    SELECT order_id, kind, count(*) AS times, sum(amount) AS amount FROM attempts
    WHERE outcome = 'SUCCEEDED' GROUP BY order_id, kind HAVING count(*) > 1;
"""
COLUMNS = "seq, key, kind, order_id, amount, currency, method, outcome, id, reason, at"
PAGE = 1000
MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class Attempt:
    """A charge or refund as asked for: ``amount`` in minor units, ``charge_id`` of the charge refunded."""

    key: str
    kind: str
    order_id: str
    amount: int
    currency: str
    method: str = ""
    charge_id: str | None = None
    void: bool = False


class Row(NamedTuple):
    """An attempt on record: ``at`` in ms since epoch, ``id`` of the charge or refund."""

    seq: int
    key: str
    kind: str
    order_id: str
    amount: int
    currency: str
    method: str
    outcome: str
    id: str
    reason: str | None
    at: int


class Entered(NamedTuple):
    """An attempt's row, and whether it had been on record before."""

    row: Row
    replayed: bool


class Refused(Exception):
    """The attempt contradicts the record: a key used for something else, a refund of no such charge."""


class Record:
    """Open with ``await start()``, close with ``await close()``."""

    def __init__(self, path: Path, success_rate: float) -> None:
        self._path, self._success_rate = path, success_rate
        self._queue: asyncio.Queue[tuple[Attempt, asyncio.Future[Entered]] | None] = asyncio.Queue()
        # A connection of its own for each thread: look-ups do not wait for a commit (WAL).
        self._writing = ThreadPoolExecutor(1, "record-writer")
        self._reading = ThreadPoolExecutor(1, "record-reader")

    async def start(self) -> None:
        """Open or create the database and begin to write."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(0o600)
        close_to_others(self._path, *self._path.parent.glob(f"{self._path.name}-*"))
        loop = asyncio.get_running_loop()
        self._writer = await loop.run_in_executor(self._writing, self._connect)
        self._reader = await loop.run_in_executor(self._reading, self._connect)
        self._committing = asyncio.create_task(self._commit_forever())

    async def close(self) -> None:
        """Commit what waits, then close."""
        await self._queue.put(None)
        await self._committing
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._reading, self._reader.close)
        await loop.run_in_executor(self._writing, self._writer.close)
        self._reading.shutdown()
        self._writing.shutdown()

    async def enter(self, attempt: Attempt) -> Entered:
        """Decide and record an attempt; returns once it is on disk. Raises Refused."""
        future: asyncio.Future[Entered] = asyncio.get_running_loop().create_future()
        await self._queue.put((attempt, future))
        # Shielded: a caller that hangs up does not undo what is being written.
        return await asyncio.shield(future)

    async def find(self, key: str) -> Row | None:
        """The attempt on record for ``key``."""
        rows = await self._read(f"SELECT {COLUMNS} FROM attempts WHERE key = ?", key)
        return Row(*rows[0]) if rows else None

    async def rows(self, after: int = 0) -> AsyncIterator[list[Row]]:
        """Everything on record now with ``seq > after``, in pages."""
        [(end,)] = await self._read("SELECT coalesce(max(seq), 0) FROM attempts")
        page = f"SELECT {COLUMNS} FROM attempts WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {PAGE}"
        while after < end:
            rows = [Row(*row) for row in await self._read(page, after, end)]
            yield rows
            after = rows[-1].seq

    async def doubles(self) -> list[tuple[str, str, int, int]]:
        """Orders charged or refunded more than once: (order id, kind, times, amount in all)."""
        return await self._read("SELECT order_id, kind, times, amount FROM doubles")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;")
        db.executescript(TABLES)
        return db

    async def _read(self, sql: str, *args: str | int) -> list[tuple[Any, ...]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, lambda: self._reader.execute(sql, args).fetchall())

    async def _commit_forever(self) -> None:
        loop = asyncio.get_running_loop()
        last = False
        while not last:
            batch = [await self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            last = None in batch
            waiting = [entry for entry in batch if entry is not None]
            try:
                results = await loop.run_in_executor(self._writing, self._commit, [a for a, _ in waiting])
            except Exception as error:  # each caller gets it as its answer, and the next batch a new chance
                results = [error] * len(waiting)
            for (_, future), result in zip(waiting, results, strict=True):
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _commit(self, attempts: list[Attempt]) -> list[Entered | Exception]:
        db = self._writer
        db.execute("BEGIN IMMEDIATE")
        try:
            results: list[Entered | Exception] = []
            for attempt in attempts:
                try:
                    results.append(self._enter(db, attempt))
                except Refused as refused:
                    results.append(refused)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return results

    def _enter(self, db: sqlite3.Connection, attempt: Attempt) -> Entered:
        found = db.execute(f"SELECT {COLUMNS} FROM attempts WHERE key = ?", (attempt.key,)).fetchone()
        if found:
            row = Row(*found)
            asked = (attempt.kind, attempt.order_id, attempt.amount, attempt.currency)
            if (row.kind, row.order_id, row.amount, row.currency) != asked:
                raise Refused(f"key {attempt.key} was used before for {row.kind} {row.amount} {row.currency}")
            return Entered(row, replayed=True)
        decision = self._decide(db, attempt)
        made = hashlib.sha256(attempt.key.encode()).hexdigest()[:24]
        values = (
            attempt.key,
            attempt.kind,
            attempt.order_id,
            attempt.amount,
            attempt.currency,
            attempt.method,
            decision.result.value,
            f"{'ch' if attempt.kind == 'CHARGE' else 're'}_{made}",
            decision.reason,
            time.time_ns() // 1_000_000,
        )
        seq = db.execute(
            f"INSERT INTO attempts ({COLUMNS}) VALUES (NULL, {', '.join('?' * len(values))})", values
        ).lastrowid
        return Entered(Row(seq or 0, *values), replayed=False)

    def _decide(self, db: sqlite3.Connection, attempt: Attempt) -> Decision:
        if attempt.void:
            return Decision(Result.VOIDED, "withdrawn before it was charged")
        return self._charge(db, attempt) if attempt.kind == "CHARGE" else self._refund(db, attempt)

    def _charge(self, db: sqlite3.Connection, attempt: Attempt) -> Decision:
        failed = "SELECT count(*) FROM attempts WHERE order_id = ? AND kind = 'CHARGE' AND outcome = 'FAILED'"
        (earlier,) = db.execute(failed, (attempt.order_id,)).fetchone()
        return decide_charge(attempt.method, attempt.order_id, earlier, self._success_rate)

    def _refund(self, db: sqlite3.Connection, attempt: Attempt) -> Decision:
        if attempt.charge_id is not None:
            charge = "SELECT amount FROM attempts WHERE order_id = ? AND id = ? AND outcome = 'SUCCEEDED'"
            found = db.execute(charge, (attempt.order_id, attempt.charge_id)).fetchone()
            if found is None or found[0] < attempt.amount:
                raise Refused(f"no charge {attempt.charge_id} of order {attempt.order_id} covers this refund")
        return Decision(Result.SUCCEEDED)
