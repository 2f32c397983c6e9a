"""``python -m bench.bare.basket_hop``: one stateful exactly-once hop. It adds up what is put into baskets.

It reads and writes the bytes that ``bench.baskets`` does, headers included, and keeps the same state: in memory to
read, and in SQLite, which it writes once a transaction has committed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from confluent_kafka import Message

from bench.bare.baskets import FILL, FILLED, FOLDER
from bench.bare.headers import headers_of, moment, place_of
from bench.bare.hop import Headers, Work, run
from bench.bare.record import AvroCodec

Totals = dict[str, tuple[int, int, int]]
"""By basket: events so far, pieces, amount."""


def adding(totals: Totals, changed: Totals) -> Work:
    """Add to the totals of a record's basket, and note them as changed."""
    fill, filled = AvroCodec(FILL, FOLDER), AvroCodec(FILLED, FOLDER)

    def work(record: Message) -> tuple[bytes, Headers]:
        value = record.value()
        assert value is not None
        command = fill.decode(value)
        basket, lines = command["basketId"], command["lines"]
        version, pieces, amount = totals.get(basket, (0, 0, 0))
        version += 1
        pieces += sum(line["quantity"] for line in lines)
        amount += sum(line["quantity"] * line["unitPrice"] for line in lines)
        totals[basket] = changed[basket] = version, pieces, amount
        now = time.time()
        event = {**command, "pieces": pieces, "amount": amount, "timestamp": int(now * 1000)}
        return filled.encode(event), headers(record, basket, version, now)

    return work


def headers(record: Message, basket: str, version: int, now: float) -> Headers:
    """The headers that this project's library writes, under their old names too."""
    told = dict(cast(list[tuple[str, bytes]], record.headers() or []))
    cause = place_of(record)
    return [
        *headers_of("basket", "BasketFilled", basket.encode(), cause, told, version, 0, moment(now)),
        ("correlationid", told["ce_correlationid"]),
        ("cause", cause.encode()),
        ("keyversion", b"%d" % version),
    ]


def keeping(path: Path, changed: Totals) -> Callable[[], None]:
    """Write to SQLite what has changed, in one transaction."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE totals "
        "(basket TEXT PRIMARY KEY, version INTEGER, pieces INTEGER, amount INTEGER) WITHOUT ROWID;"
    )

    def keep() -> None:
        db.execute("BEGIN")
        rows = ((basket, *total) for basket, total in changed.items())
        db.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        changed.clear()

    return keep


if __name__ == "__main__":
    changed: Totals = {}
    with TemporaryDirectory(prefix="basket-hop-") as folder:
        run(adding({}, changed), "basket_hop", keeping(Path(folder) / "totals.sqlite", changed))
