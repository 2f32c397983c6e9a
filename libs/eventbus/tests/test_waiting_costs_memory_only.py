"""Who waits for the state of a key asks nothing meanwhile, misses nothing, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from eventbus import Decider, Entry, Envelope, Unavailable
from eventbus.model.places import Entity
from eventbus.service.changes import Changes
from eventbus.service.waits import Waits
from parcels.messages import CourierBooked, CourierNoted

LOG = CourierNoted.topic
DECIDER: Decider[int] = Decider(
    log=LOG, inputs=(CourierBooked,), initial=0, decide=lambda m, s: [], evolve=lambda s, e: s + 1
)


class Replica:
    """A store in memory whose reads are counted, and what the processor does to it."""

    def __init__(self) -> None:
        self.changes = Changes(asyncio.get_running_loop())
        self.waits = Waits(self.changes, self.read)
        self.versions: dict[str, int] = {}
        self.reads = 0
        self.unavailable = False

    def read(self, decider: Decider[Any], key: str) -> Entry[Any] | None:
        self.reads += 1
        if self.unavailable:
            raise Unavailable("the task of the key stands still")
        version = self.versions.get(key, 0)
        return Entry(key, version, version, 0) if version else None

    def happens(self, *keys: str) -> None:
        """An event of each key is folded, on a thread that is not the loop's."""

        def fold() -> None:
            for key in keys:
                self.versions[key] = self.versions.get(key, 0) + 1
            self.changes.folded([_event(key, self.versions[key]) for key in keys])

        thread = threading.Thread(target=fold)
        thread.start()
        thread.join()

    def waiting_for(self, key: str, version: int, timeout: float = 60.0) -> asyncio.Task[Entry[int] | None]:
        return asyncio.create_task(self.waits.wait(DECIDER, key, _reached(version), timeout))


def _reached(version: int) -> Callable[[Entry[int] | None], bool]:
    return lambda entry: entry is not None and entry.version >= version


def _event(key: str, version: int) -> Envelope:
    message = CourierNoted(parcel_id=key, note="n")
    return Envelope(message, f"{key}-{version}", 1, "/test", "c", None, version, None, LOG, 0, version)


@pytest.fixture
async def replica() -> Replica:
    return Replica()


async def _turns() -> None:
    """Let all tasks run until each waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def _is_forgotten(replica: Replica) -> bool:
    return not replica.waits.count() and not replica.waits._keys and not replica.changes._watched


async def test_a_wait_ends_with_the_event_that_it_waits_for(replica: Replica) -> None:
    wait = replica.waiting_for("a", 2)
    await _turns()
    replica.happens("a")
    await _turns()
    assert not wait.done()
    replica.happens("a")
    entry = await asyncio.wait_for(wait, 5)
    assert entry is not None and entry.version == 2
    assert _is_forgotten(replica)


async def test_what_is_so_already_is_not_waited_for(replica: Replica) -> None:
    replica.happens("a")
    entry = await replica.waits.wait(DECIDER, "a", _reached(1), 60.0)
    assert entry is not None and entry.version == 1
    assert _is_forgotten(replica)


async def test_an_event_that_comes_while_the_state_is_read_is_not_missed(replica: Replica) -> None:
    read = replica.read

    def read_late(decider: Decider[Any], key: str) -> Entry[Any] | None:
        entry = read(decider, key)
        if replica.reads == 1:
            replica.happens("a")
        return entry

    replica.waits = Waits(replica.changes, read_late)
    entry = await asyncio.wait_for(replica.waits.wait(DECIDER, "a", _reached(1), 60.0), 5)
    assert entry is not None


async def test_after_its_time_a_wait_gives_what_there_is(replica: Replica) -> None:
    replica.happens("a")
    entry = await replica.waits.wait(DECIDER, "a", _reached(2), 0.05)
    assert entry is not None and entry.version == 1
    assert await replica.waits.wait(DECIDER, "b", _reached(1), 0.0) is None
    assert _is_forgotten(replica)


async def test_five_thousand_who_wait_for_one_key_cost_one_read_an_event(replica: Replica) -> None:
    waits = [replica.waiting_for("a", 3) for _ in range(5_000)]
    await _turns()
    replica.reads = 0
    replica.happens("a")
    await _turns()
    replica.happens("b")
    await _turns()
    assert replica.reads == 1, "the event of another key concerns nobody"
    replica.happens("a", "a")
    await asyncio.wait(waits, timeout=10)
    assert replica.reads == 2
    assert {wait.result() and wait.result().version for wait in waits} == {3}  # type: ignore[union-attr]
    assert _is_forgotten(replica)


async def test_five_thousand_who_wait_for_five_thousand_keys_take_a_few_kilobytes_each(
    replica: Replica,
) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        waits = [replica.waiting_for(f"k{n}", 1) for n in range(5_000)]
        await _turns()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    replica.reads = 0
    assert (after - before) / 5_000 < 6_000
    await asyncio.sleep(0.1)
    assert replica.reads == 0, "nobody asks while nothing happens"
    replica.happens(*(f"k{n}" for n in range(5_000)))
    await asyncio.wait(waits, timeout=10)
    assert replica.reads == 5_000
    assert _is_forgotten(replica)


async def test_who_hangs_up_waits_no_more(replica: Replica) -> None:
    waits = [replica.waiting_for("a", 1) for _ in range(10)]
    await _turns()
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits, timeout=5)
    assert _is_forgotten(replica)


async def test_all_are_answered_when_the_replica_stops(replica: Replica) -> None:
    replica.happens("a")
    waits = [replica.waiting_for("a", 2), replica.waiting_for("b", 1)]
    await _turns()
    replica.changes.end()
    first, second = await asyncio.wait_for(asyncio.gather(*waits), 5)
    assert first is not None and first.version == 1 and second is None
    assert await asyncio.wait_for(replica.waits.wait(DECIDER, "c", _reached(1), 60.0), 5) is None
    assert _is_forgotten(replica)


async def test_a_state_that_cannot_be_read_any_more_ends_the_wait_with_the_reason(replica: Replica) -> None:
    wait = replica.waiting_for("a", 1)
    await _turns()
    replica.unavailable = True
    replica.happens("a")
    with pytest.raises(Unavailable, match="stands still"):
        await asyncio.wait_for(wait, 5)
    assert _is_forgotten(replica)


async def test_one_whose_wish_fails_disturbs_no_other(replica: Replica) -> None:
    def fails(entry: Entry[int] | None) -> bool:
        if entry is not None:
            raise ZeroDivisionError
        return False

    broken = asyncio.create_task(replica.waits.wait(DECIDER, "a", fails, 60.0))
    sound = replica.waiting_for("a", 1)
    await _turns()
    replica.happens("a")
    assert await asyncio.wait_for(sound, 5) is not None
    with pytest.raises(ZeroDivisionError):
        await broken


async def test_who_watches_a_log_is_told_of_every_key_and_no_longer_than_it_watches(replica: Replica) -> None:
    told: list[str] = []
    with replica.changes.watch(LOG, lambda: told.append("log")):
        with replica.changes.watch(Entity(LOG, "a"), lambda: told.append("a")):
            replica.happens("b")
            await _turns()
            assert told == ["log"]
            replica.happens("a", "a")
            await _turns()
            assert sorted(told) == ["a", "log", "log"], "events that come together are told once"
        replica.happens("a")
        await _turns()
        assert told[3:] == ["log"]
    replica.happens("a")
    await _turns()
    assert len(told) == 4 and not replica.changes._watched
