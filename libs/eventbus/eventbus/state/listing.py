"""The SQL of listings: their tables, and the page behind a place, in the order of an index whatever is chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, combinations, product
from typing import Any, NamedTuple

from eventbus.model.listing import Listing, Place, Row

Choice = Mapping[str, str]
"""By column, the value that is asked for. Keys with any value of the other columns are listed."""


def tables_of(listing: Listing[Any]) -> str:
    """The DDL: a table by key, and an index for each way to choose.

    Columns of any text (``user``) and columns of few values (``status``) differ. Each set of the former has two
    indexes: one in the order of time, and one by all columns of few values first. A choice by some of these is the
    merge of the stretches of the others' values.
    """
    columns = "".join(f", {name} TEXT NOT NULL" for name in listing.columns)
    statements = [
        f"CREATE TABLE IF NOT EXISTS {listing.table} (key TEXT PRIMARY KEY, partition INTEGER NOT NULL, "
        f"at INTEGER NOT NULL{columns}) WITHOUT ROWID"
    ]
    texts, few = _texts(listing), _few(listing)
    for chosen in chain.from_iterable(combinations(texts, count) for count in range(len(texts) + 1)):
        for more in [(), few] if few else [()]:
            by = (*chosen, *more)
            on = f"{listing.table} ({', '.join((*by, 'at', 'key'))})"
            statements.append(f"CREATE INDEX IF NOT EXISTS {_index(listing, by)} ON {on}")
    return ";\n".join(statements)


class Change(NamedTuple):
    """What a listing is to hold of a key. ``before``: the row that it holds, if that is known here."""

    key: str
    partition: int
    row: Row
    before: Row | None


def write_rows(db: sqlite3.Connection, listing: Listing[Any], changes: Iterable[Change]) -> None:
    """Write the row of each key that changed.

    A column that is set has its indexes written anew, also if its value is the same. Columns of any text hardly ever
    change, so they have a statement of their own.
    """
    changes = [change for change in changes if change.row != change.before]
    inserted = f"(key, partition, at{''.join(f', {name}' for name in listing.columns)})"
    db.executemany(
        f"INSERT INTO {listing.table} {inserted} VALUES (?, ?, ?{', ?' * len(listing.columns)}) "
        f"ON CONFLICT (key) {_update(_few(listing))}",
        [(key, partition, row.at, *row.values) for key, partition, row, _ in changes],
    )
    if texts := _texts(listing):
        places = [list(listing.columns).index(name) for name in texts]
        found = [([row.values[i] for i in places], key, before) for key, _, row, before in changes]
        db.executemany(
            f"UPDATE {listing.table} SET {', '.join(f'{name} = ?' for name in texts)} "
            f"WHERE key = ? AND ({' OR '.join(f'{name} != ?' for name in texts)})",
            [
                (*values, key, *values)
                for values, key, before in found
                if before is None or values != [before.values[i] for i in places]
            ],
        )


def _update(names: Collection[str]) -> str:
    """What becomes of a row that is there."""
    if not names:
        return "DO NOTHING"
    values = ", ".join(f"{name} = excluded.{name}" for name in names)
    return f"DO UPDATE SET {values} WHERE {' OR '.join(f'{name} != excluded.{name}' for name in names)}"


def page_query(
    listing: Listing[Any], log: str, chosen: Choice, behind: Place, since: int, limit: int
) -> tuple[str, list[Any]]:
    """The query of a page, and its arguments: ``at`` and the row of ``states`` of each key.

    The keys stand behind a place, and are later than ``since`` (ms since epoch). It is one statement, so that a row
    and its state are of one moment.
    """
    texts = tuple(name for name in _texts(listing) if name in chosen)
    few = _few(listing) if any(name in chosen for name in _few(listing)) else ()
    by = (*texts, *few)
    where = "".join(f"{name} = ? AND " for name in by)
    one = (
        f"SELECT at, key FROM {listing.table} INDEXED BY {_index(listing, by)} "
        f"WHERE {where}at > ? AND (at, key) < (?, ?)"
    )
    branches = list(_branches(listing, by, chosen))
    keys = f"{' UNION ALL '.join([one] * len(branches))} ORDER BY at DESC, key DESC LIMIT ?"
    arguments = [argument for values in branches for argument in (*values, since, *behind)]
    return (
        "SELECT page.at, states.key, states.version, states.updated, states.body "
        f"FROM ({keys}) AS page CROSS JOIN states ON states.log = ? AND states.key = page.key "
        "ORDER BY page.at DESC, page.key DESC",
        [*arguments, limit, log],
    )


def _branches(listing: Listing[Any], by: Iterable[str], chosen: Choice) -> Iterator[tuple[str, ...]]:
    """The values of the columns ``by``: those chosen, and each that the others may have."""
    return product(*([chosen[name]] if name in chosen else listing.columns[name] for name in by))


def _texts(listing: Listing[Any]) -> tuple[str, ...]:
    return tuple(name for name, values in listing.columns.items() if not values)


def _few(listing: Listing[Any]) -> tuple[str, ...]:
    return tuple(name for name, values in listing.columns.items() if values)


def _index(listing: Listing[Any], by: Iterable[str]) -> str:
    return "_by_".join((listing.table, *by)) if by else f"{listing.table}_newest"
