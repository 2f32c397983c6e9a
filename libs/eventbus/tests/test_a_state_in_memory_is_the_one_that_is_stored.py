"""The states that a store keeps in memory: what is loaded is what another connection reads, whatever happened."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from eventbus import Decider, Envelope, Event, Table
from eventbus.model.folding import Folded, fold
from eventbus.model.places import Entity, Partition, Position
from eventbus.state.recent import LARGEST, RecentStates
from eventbus.state.store import Store

LOG = "word.events"
KEYS = [f"key-{number}" for number in range(8)]
PARTITIONS = 2


@dataclass(frozen=True)
class Said(Event):
    """A word was said."""

    speaker: str
    word: str

    @property
    def key(self) -> str:
        return self.speaker


@dataclass(frozen=True)
class Words:
    """A state as a dataclass."""

    last: str = ""
    count: int = 0
    said: Table[int] = field(default_factory=Table)


class Talk(msgspec.Struct, frozen=True):
    """The same state as a Struct."""

    last: str = ""
    count: int = 0
    said: Table[int] = msgspec.field(default_factory=Table)


class Refusing:
    """A projection that refuses a word."""

    tables = "CREATE TABLE IF NOT EXISTS words (word TEXT, partition INTEGER)"

    def apply(self, db: object, envelope: Envelope) -> None:
        assert isinstance(envelope.message, Said)
        if envelope.message.word == "refused":
            raise ValueError("nobody says that")


def decider_of(kind: type[Words] | type[Talk]) -> Decider[Words | Talk]:
    def evolve(state: Words | Talk, event: Said) -> Words | Talk:
        return kind(event.word, state.count + 1, state.said.put(event.word, state.count))

    return Decider(LOG, (), kind(), lambda message, state: [], evolve, projection=Refusing())


class Replica:
    """A store, and what it takes to write to it."""

    def __init__(self, path: Path, decider: Decider[Words | Talk]) -> None:
        self.path, self.decider, self.offset = path, decider, 0
        self.open()

    def open(self) -> None:
        """A new process opens the file."""
        self.store = Store(self.path, [self.decider])
        self.store.adopt("cluster", {LOG: "topic"})
        self.on_disk = Store(self.path, [self.decider], read_only=True)

    def say(self, *said: tuple[str, str]) -> None:
        """Fold and write an event for each (key, word), in one turn."""
        folds, events = {}, []
        states = {key: self.store.load(self.decider, key) for key, _ in said}
        for key, word in said:
            self.offset += 1
            version, partition = states[key].version + 1, KEYS.index(key) % PARTITIONS
            cause = f"word.commands-{partition}-{self.offset}"
            event = Envelope(
                Said(key, word), cause, 1, "/", "c", cause, version, None, LOG, partition, self.offset
            )
            states[key] = fold(self.decider, states[key], event)
            folds[Entity(LOG, key)] = (partition, states[key])
            events.append(event)
        moved = {Partition(LOG, event.partition): event.offset + 1 for event in events}
        self.store.write(folds, events, moved)

    def check(self) -> None:
        """Every key, with every word that it may know, reads the same from memory and from the file."""
        for key in KEYS:
            loaded, stored = self.store.load(self.decider, key), self.on_disk.load(self.decider, key)
            assert loaded == stored
            assert not loaded.state.said.changes(), "what is stored is not written again"
            words = ["word-1", "word-2", "refused"]
            assert [loaded.state.said.get(w) for w in words] == [stored.state.said.get(w) for w in words]


@pytest.fixture(params=[Words, Talk])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Replica:
    return Replica(tmp_path / "state.sqlite", decider_of(request.param))


def test_in_any_order_of_writes_failures_skips_and_restarts(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.state.recent.MOST", 4)
    dice = random.Random(11)

    def write() -> None:
        words = ("word-1", "word-2", "long " * dice.choice([1, LARGEST]))
        replica.say(*[(dice.choice(KEYS), dice.choice(words)) for _ in range(dice.randint(1, 5))])

    def fail() -> None:
        with pytest.raises(ValueError, match="nobody says that"):
            replica.say((dice.choice(KEYS), "word-1"), (dice.choice(KEYS), "refused"))

    def skip() -> None:
        places = [Position(LOG, number, dice.randint(0, replica.offset + 1)) for number in range(PARTITIONS)]
        replica.store.set_aside(dice.sample(places, dice.randint(0, PARTITIONS)))

    def forget() -> None:
        replica.store.adopt(dice.choice(["cluster", "another"]), {LOG: "topic"})

    steps: list[Callable[[], None]] = [write, write, write, write, fail, skip, forget, replica.open]
    for _ in range(400):
        dice.choice(steps)()
        replica.check()


def test_a_state_that_grew_large_is_read_from_its_row(replica: Replica) -> None:
    replica.say(("key-0", "short"))
    assert replica.store.recent.get(Entity(LOG, "key-0"))
    replica.say(("key-0", "x" * LARGEST))
    assert not replica.store.recent.get(Entity(LOG, "key-0"))
    assert replica.store.load(replica.decider, "key-0").state.count == 2


def test_the_states_written_longest_ago_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.state.recent.MOST", 2)
    recent, folded = RecentStates(), Folded(Talk(), version=1)
    for key in ("a", "b", "a", "c"):
        recent.put(Entity(LOG, key), folded, size=10)
    assert [bool(recent.get(Entity(LOG, key))) for key in "abc"] == [True, False, True]


def test_a_reader_keeps_nothing_since_another_connection_writes(replica: Replica) -> None:
    for word in ("word-1", "word-2"):
        replica.say(("key-0", word))
        assert replica.on_disk.load(replica.decider, "key-0").state.last == word


class Loud(str):
    """A message may hold a subclass of ``str``."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


def test_a_text_of_a_subclass_of_str_is_stored_as_its_text(replica: Replica) -> None:
    replica.say(("key-0", Loud("hi")))
    assert replica.on_disk.load(replica.decider, "key-0").state.last == "hi"
    replica.check()
