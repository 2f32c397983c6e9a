"""What a bare service is: what it reads, what it makes of that, and the rows that it keeps."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Message
from msgspec.json import encode

from bench.bare.flow.records import Output


class Service(ABC):
    """One of the four. ``changed`` holds the states that :meth:`keep` writes, by their key."""

    reads: tuple[str, ...]
    rest = 0.05
    """Seconds after a transaction, in which more input gathers. An order takes about as long then as in this
    project's services (p50); with shorter rests it costs more."""

    def __init__(self, folder: Path) -> None:
        self.changed: dict[str, Any] = {}
        self.db = sqlite3.connect(folder / "state.sqlite", isolation_level=None)
        self.db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;"
            "CREATE TABLE states (key TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;"
        )

    def close(self) -> None:
        """Let go of what is open."""
        self.db.close()

    @abstractmethod
    def decide(self, batch: Sequence[Message]) -> Sequence[Output]:
        """What these records lead to."""

    def keep(self) -> None:
        """Write to SQLite what has changed, in one transaction. Called once a transaction has committed."""
        self.db.execute("BEGIN")
        rows = [(key, encode(state)) for key, state in self.changed.items()]
        self.db.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", rows)
        self.keep_more()
        self.db.execute("COMMIT")
        self.changed.clear()

    def keep_more(self) -> None:  # noqa: B027 - most have no more
        """Write further rows, in the same transaction."""
