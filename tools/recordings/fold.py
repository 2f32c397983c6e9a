"""What today's code folds recorded events to: through codec, upcasts and store, as a replica does at its start."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eventbus.codec import Codec
from eventbus.model.folding import fold
from eventbus.model.places import Entity, Partition
from eventbus.processing.own_log import next_event
from eventbus.state.store import Store
from tools.recordings.recording import Json, Log, raw_of


class Unreadable(Exception):
    """Today's code cannot read or fold a recorded event."""


def folded(log: Log, codec: Codec, events: Sequence[Json]) -> Json:
    """``states`` by key, and ``rows`` of the projection by table, after these events. Raises Unreadable."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "state.sqlite"), [log.decider])
        try:
            store.db.execute("PRAGMA synchronous=OFF")
            of_the_store = _tables(store)
            store.adopt("", {log.name: ""})
            versions = Counter[str]()
            for offset, event in enumerate(events):
                try:
                    _fold_one(log, codec, store, versions, offset, event)
                except Exception as error:
                    raise Unreadable(
                        f"today's code cannot fold event {offset + 1}, {event['schema']}: "
                        f"{type(error).__name__}: {error}"
                    ) from error
            rows = {table: _rows(store, table) for table in sorted(_tables(store) - of_the_store)}
            return {"states": _states(store), "rows": rows}
        finally:
            store.close()


def _fold_one(log: Log, codec: Codec, store: Store, versions: Counter[str], offset: int, event: Json) -> None:
    envelope = next_event(raw_of(log, offset, event), codec, lambda _: 0, lambda key: versions[key])
    key = envelope.message.key
    versions[key] += 1
    state = fold(log.decider, store.load(log.decider, key), envelope)
    store.write({Entity(log.name, key): (0, state)}, [envelope], {Partition(log.name, 0): offset + 1})


def _states(store: Store) -> Json:
    """By key: the count of events, the deadline (ms since epoch, or None), and all fields, tables included."""
    states = {}
    for row in store.db.execute("SELECT key, version, due, body FROM states ORDER BY key").fetchall():
        fields = json.loads(row["body"])
        for name, key, body in store.db.execute(
            "SELECT field, row, body FROM table_rows WHERE key = ? ORDER BY field, row", (row["key"],)
        ):
            fields.setdefault(name, {})[key] = json.loads(body)
        states[row["key"]] = {
            "version": row["version"],
            "due": row["due"],
            "state": {name: fields[name] for name in sorted(fields)},
        }
    return states


def _rows(store: Store, table: str) -> list[Json]:
    """The rows of one table, ordered by all its columns."""
    columns = len(store.db.execute(f"PRAGMA table_info({table})").fetchall())
    order = ", ".join(str(number) for number in range(1, columns + 1))
    return [
        {name: value.hex() if isinstance(value, bytes) else value for name, value in dict(row).items()}
        for row in store.db.execute(f"SELECT * FROM {table} ORDER BY {order}")
    ]


def _tables(store: Store) -> set[str]:
    return {row["name"] for row in store.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
