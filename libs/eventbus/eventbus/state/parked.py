"""What waits in retry topics, as every replica has folded it: the part of the store that the retry queues read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.retry.parked import Parked, State


@dataclass(frozen=True)
class HoldStatus:
    """Why a key waits: the service, the tries of its oldest message so far, and since when (ms)."""

    service: str
    attempts: int
    since: int
    dead: bool


class ParkedStore:
    """The messages of ``<service>.retry`` and of the retry topics watched beside it, by coordinates."""

    def __init__(self, db: sqlite3.Connection, topic: str) -> None:
        self._db, self._topic = db, topic
        self._parked = {Entity(row["log"], row["key"]) for row in self._open("topic = ?", (topic,))}
        self._any = self._db.execute("SELECT 1 FROM parked WHERE topic = ? LIMIT 1", (topic,)).fetchone()

    def queue(self, entity: Entity) -> list[Parked]:
        """What waits for a key, oldest first."""
        return self.stored(entity) if entity in self._parked else []

    def stored(self, entity: Entity) -> list[Parked]:
        """The same, for readers other than the writer. Only the writer keeps the parked keys in memory."""
        rows = self._open("log = ? AND key = ? AND topic = ?", (*entity, self._topic))
        return [_thaw(row["record"]) for row in rows]

    def known(self, coordinates: str) -> State | None:
        """How the message of these coordinates waits, or how its wait ended."""
        if not self._any:
            return None
        row = self._db.execute(
            "SELECT state FROM parked WHERE topic = ? AND coordinates = ?", (self._topic, coordinates)
        ).fetchone()
        return State(row["state"]) if row else None

    def waits(self, coordinates: str) -> bool:
        """Whether the message of these coordinates waits here. For readers too."""
        row = self._db.execute(
            "SELECT open FROM parked WHERE topic = ? AND coordinates = ?", (self._topic, coordinates)
        ).fetchone()
        return row is not None and bool(row["open"])

    def heads(self, partitions: Iterable[int]) -> list[Parked]:
        """The oldest message of every parked key in these partitions."""
        wanted, heads = set(partitions), dict[Entity, Parked]()
        for row in self._open("topic = ?", (self._topic,)):
            if row["partition"] in wanted:
                heads.setdefault(Entity(row["log"], row["key"]), _thaw(row["record"]))
        return list(heads.values())

    def held(self, key: str) -> HoldStatus | None:
        """What keeps a key waiting, in this service or in one whose retry topic is watched."""
        rows = self._open("key = ?", (key,))
        if not rows:
            return None
        head = _thaw(rows[0]["record"])
        return HoldStatus(
            rows[0]["topic"].removesuffix(".retry"), head.attempt, head.since, head.state is State.DEAD
        )

    def keys(self) -> int:
        """How many keys wait, in this service and in those whose retry topics are watched."""
        return int(self._db.execute("SELECT count(DISTINCT key) FROM parked WHERE open").fetchone()[0])

    def write(self, topic: str, changed: Iterable[Parked]) -> None:
        """Put what a retry topic says into the tables, within the caller's transaction."""
        for parked in changed:
            self._db.execute(
                "INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    topic,
                    parked.raw.coordinates,
                    parked.log,
                    parked.key,
                    parked.raw.partition,
                    parked.sequence,
                    parked.state.value,
                    parked.state.open,
                    parked.since,
                    _freeze(parked),
                ),
            )
            if topic == self._topic:
                self._any = True
                self._count(parked)

    def _count(self, parked: Parked) -> None:
        if parked.state.open:
            self._parked.add(parked.entity)
        elif not self._open("log = ? AND key = ? AND topic = ?", (*parked.entity, self._topic)):
            self._parked.discard(parked.entity)

    def _open(self, where: str, args: tuple[str, ...]) -> list[sqlite3.Row]:
        return self._db.execute(
            f"SELECT * FROM parked WHERE open AND {where} ORDER BY key, log, sequence", args
        ).fetchall()


def _freeze(parked: Parked) -> str:
    headers = [[name, None if value is None else value.hex()] for name, value in parked.headers()]
    return json.dumps([headers, parked.raw.value.hex() if parked.raw.value else None])


def _thaw(record: str) -> Parked:
    headers, value = json.loads(record)
    return Parked.from_record(
        Raw(
            "",
            0,
            0,
            None,
            bytes.fromhex(value) if value else None,
            [(name, None if text is None else bytes.fromhex(text)) for name, text in headers],
            0,
        )
    )
