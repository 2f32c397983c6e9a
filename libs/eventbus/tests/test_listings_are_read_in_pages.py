"""Listings: whatever is chosen, pages hold what matches, once, in order; and no page reads the whole list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus import Decider, Listing, Place, Row
from eventbus.model.folding import Folded
from eventbus.model.listing import FRONT, OLDEST
from eventbus.model.places import Entity, Partition, Position
from eventbus.state.listing import page_query, tables_of
from eventbus.state.store import Store

LOG = "case.events"
COLORS, SIZES = ("red", "green", "blue"), ("small", "large")


@dataclass(frozen=True)
class Case:
    at: int = -1
    owner: str = ""
    place: str = ""
    color: str = "red"
    size: str = "small"


def row(case: Case) -> Row | None:
    return Row(case.at, (case.owner, case.color, case.place, case.size)) if case.at >= 0 else None


LISTING: Listing[Case] = Listing(
    table="cases", columns={"owner": (), "color": COLORS, "place": (), "size": SIZES}, row=row
)
DECIDER: Decider[Case] = Decider(
    log=LOG, inputs=(), initial=Case(), decide=lambda m, s: [], evolve=lambda s, e: s, listing=LISTING
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path)
    yield store
    store.close()


def opened(directory: Path, decider: Decider[Any] = DECIDER) -> Store:
    store = Store(directory / "state.sqlite", [decider])
    store.adopt("cluster", {LOG: "topic"})
    return store


def write(store: Store, cases: dict[str, Case], partition: int = 0, version: int = 1) -> None:
    folds = {Entity(LOG, key): (partition, Folded(case, version)) for key, case in cases.items()}
    store.write(folds, [], {Partition(LOG, partition): 10})


def walk(
    store: Store, chosen: dict[str, str], limit: int, since: int = OLDEST, behind: Place = FRONT
) -> Iterator[str]:
    """The keys on all pages of ``limit``."""
    while page := list(store.page(DECIDER, chosen, behind, since, limit)):
        yield from (entry.key for _, entry in page)
        behind = page[-1][0]


CASES = st.builds(
    Case,
    at=st.integers(-1, 6),
    owner=st.sampled_from(["ann", "bob"]),
    place=st.sampled_from(["here", "there", "Zoë's"]),
    color=st.sampled_from(COLORS),
    size=st.sampled_from(SIZES),
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(["ann", "bob", "nobody"]),
        "place": st.sampled_from(["here", "Zoë's"]),
        "color": st.sampled_from(COLORS),
        "size": st.sampled_from(SIZES),
    },
)


@settings(max_examples=80)
@given(
    st.dictionaries(st.text("abcü", min_size=1, max_size=3), CASES, max_size=25),
    CHOICES,
    st.integers(1, 8),
    st.integers(-2, 6),
)
def test_all_pages_hold_what_matches_once_newest_first(
    cases: dict[str, Case], chosen: dict[str, str], limit: int, since: int
) -> None:
    matching = [
        Place(case.at, key)
        for key, case in cases.items()
        if case.at > max(since, -1) and all(getattr(case, name) == value for name, value in chosen.items())
    ]
    with TemporaryDirectory() as folder:
        store = opened(Path(folder))
        write(store, cases)
        found = list(walk(store, chosen, limit, since))
        store.close()
    assert found == [key for _, key in sorted(matching, reverse=True)]


@settings(max_examples=40)
@given(
    st.dictionaries(st.integers(0, 30).map(str), CASES.filter(lambda c: c.at >= 0), min_size=5),
    CHOICES,
    st.integers(1, 4),
    st.data(),
)
def test_what_matches_all_the_time_is_on_one_page_while_keys_come_and_change(
    cases: dict[str, Case], chosen: dict[str, str], limit: int, data: st.DataObject
) -> None:
    """Between two pages keys come, also with a time of long ago, and others change what they are chosen by."""

    def matches(case: Case) -> bool:
        return all(getattr(case, name) == value for name, value in chosen.items())

    always = {key for key, case in cases.items() if matches(case)}
    now = dict(cases)
    found: list[str] = []
    with TemporaryDirectory() as folder:
        store = opened(Path(folder))
        write(store, cases)
        behind = FRONT
        while page := list(store.page(DECIDER, chosen, behind, OLDEST, limit)):
            assert all(matches(entry.state) for _, entry in page)
            found += [entry.key for _, entry in page]
            behind = page[-1][0]
            changes = data.draw(st.dictionaries(st.integers(0, 60).map(str), CASES, max_size=5))
            for key, case in changes.items():
                # A key that is there keeps its time.
                now[key] = replace(case, at=now[key].at if key in now else max(case.at, 0))
            write(store, now)
            always &= {key for key, case in now.items() if matches(case)}
        store.close()
    assert len(found) == len(set(found))
    assert always <= set(found)


@pytest.mark.parametrize(
    "chosen", [(), ("owner",), ("color",), ("size",), ("owner", "size"), ("place", "color")]
)
def test_no_page_scans_or_sorts_the_list(store: Store, chosen: tuple[str, ...]) -> None:
    values = {"owner": "ann", "place": "here", "color": "red", "size": "large"}
    query = page_query(LISTING, LOG, {name: values[name] for name in chosen}, FRONT, OLDEST, 20)
    plan = [line["detail"] for line in store.db.execute(f"EXPLAIN QUERY PLAN {query[0]}", query[1])]
    of_the_list = [line for line in plan if "cases" in line]
    assert of_the_list and all("SEARCH cases USING COVERING INDEX" in line for line in of_the_list), plan
    assert all("at>?" in line for line in of_the_list), plan
    # Only what is on the page is sorted: the order of the merged stretches comes from the index.
    assert plan.index("USE TEMP B-TREE FOR ORDER BY") == len(plan) - 1, plan


def test_a_row_changes_with_its_state_and_its_place_stays(store: Store) -> None:
    write(store, {"a": Case(1, "ann", "here"), "b": Case(2, "ann", "here")})
    write(store, {"a": Case(1, "bob", "there", "blue", "large")}, version=2)
    assert list(walk(store, {}, 9)) == ["b", "a"]
    assert list(walk(store, {"owner": "ann"}, 9)) == ["b"]
    assert list(walk(store, {"owner": "bob", "color": "blue", "size": "large"}, 9)) == ["a"]
    ((place, entry),) = store.page(DECIDER, {"owner": "bob"}, FRONT, OLDEST, 9)
    assert (place, entry.version, entry.state.place) == (Place(1, "a"), 2, "there")


def test_a_partition_that_is_folded_anew_is_listed_anew(store: Store) -> None:
    write(store, {"a": Case(1)}, partition=0)
    write(store, {"b": Case(2)}, partition=1)
    assert store.set_aside([Position(LOG, 1, 5)]) == [Partition(LOG, 1)]
    assert list(walk(store, {}, 9)) == ["a"]


def test_a_store_without_the_listing_is_rebuilt_with_it_and_back(tmp_path: Path) -> None:
    old: Decider[Case] = replace(DECIDER, listing=None)
    store = opened(tmp_path, old)
    write(store, {"a": Case(1)})
    store.close()
    for decider in (DECIDER, old, DECIDER):
        store = Store(tmp_path / "state.sqlite", [decider])
        assert store.adopt("cluster", {LOG: "topic"}) == [LOG]
        assert store.checkpoint(LOG, 0) == 0
        write(store, {"a": Case(3)})
        store.close()
    store = Store(tmp_path / "state.sqlite", [DECIDER])
    assert store.adopt("cluster", {LOG: "topic"}) == []
    assert list(walk(store, {}, 9)) == ["a"]


def test_a_write_that_fails_leaves_the_list_as_it_was(store: Store) -> None:
    write(store, {"a": Case(1, "ann")})
    broken: Any = Case(2, owner=["no text"])  # type: ignore[arg-type]
    with pytest.raises(Exception, match="not supported"):
        write(store, {"a": Case(1, "bob"), "b": broken})
    assert list(walk(store, {"owner": "ann"}, 9)) == ["a"]


def test_a_listing_without_columns_is_one_of_time(tmp_path: Path) -> None:
    plain: Listing[Case] = Listing(table="plain", columns={}, row=lambda case: Row(case.at, ()))
    decider = replace(DECIDER, listing=plain)
    store = opened(tmp_path, decider)
    write(store, {"a": Case(1), "b": Case(2)})
    write(store, {"a": Case(1, "changed")}, version=2)
    found = list(store.page(decider, {}, FRONT, OLDEST, 9))
    assert [(entry.key, entry.version) for _, entry in found] == [("b", 1), ("a", 2)]
    assert tables_of(plain).count("CREATE INDEX") == 1
