"""A Table is an immutable mapping that loads its rows one at a time."""

from __future__ import annotations

import pytest

from eventbus import Table


def test_a_put_gives_a_new_table_and_leaves_the_old_one() -> None:
    empty: Table[int] = Table()
    one = empty.put("a", 1)

    assert one["a"] == 1 and "a" in one
    assert "a" not in empty and empty.get("a") is None
    assert one == Table({"a": 1})


def test_rows_are_loaded_when_first_asked_for() -> None:
    asked: list[str] = []

    def load(key: str) -> int | None:
        asked.append(key)
        return {"a": 1}.get(key)

    table: Table[int] = Table(None, load)
    assert asked == []
    assert (table["a"], table.get("b")) == (1, None)
    assert asked == ["a", "b"]
    with pytest.raises(KeyError):
        table["b"]


def test_what_was_put_hides_what_is_stored() -> None:
    table = Table(None, lambda key: 1).put("a", 2)

    assert table["a"] == 2
    assert dict(table.changes()) == {"a": 2}


def test_it_cannot_be_iterated_or_counted() -> None:
    table = Table({"a": 1})

    with pytest.raises(TypeError, match="not iterable"):
        list(table)
    with pytest.raises(TypeError, match="no length"):
        len(table)
