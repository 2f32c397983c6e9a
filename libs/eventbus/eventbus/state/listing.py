"""The SQL of listings: their tables, and the page behind a place, in the order of an index whatever is chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, combinations, product
from typing import Any

from eventbus.model.listing import Listing, Place

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


def write_rows(db: sqlite3.Connection, listing: Listing[Any], states: Iterable[tuple[int, str, Any]]) -> None:
    """Write the row of each state, given with its partition and key. A row that is the same stays as it is."""
    names = list(listing.columns)
    changed = " OR ".join(f"{name} != excluded.{name}" for name in names)
    on_conflict = f"DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in names)} WHERE {changed}"
    db.executemany(
        f"INSERT INTO {listing.table} (key, partition, at{''.join(f', {name}' for name in names)}) "
        f"VALUES (?, ?, ?{', ?' * len(names)}) ON CONFLICT (key) {on_conflict if names else 'DO NOTHING'}",
        [
            (key, partition, row.at, *row.values)
            for partition, key, state in states
            if (row := listing.row(state))
        ],
    )


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
