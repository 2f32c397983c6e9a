"""A processor without Kafka: real turns on a real store, with topics in memory and a clock of the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eventbus import DeadlinePassed, Message, Outcome, Reactor, Request
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.processing.context import turn_context
from eventbus.processing.due import DueQueue
from eventbus.processing.outgoing import Outgoing, placed
from eventbus.processing.turn import Turn
from eventbus.processing.work import WorkItem
from eventbus.retry.parked import Parked, State
from eventbus.retry.policy import RetryPolicy
from eventbus.settings import Settings
from eventbus.state.store import Store
from parcels.messages import (
    CourierBooked,
    CourierNoted,
    CourierRefused,
    ParcelLost,
    ParcelSent,
    ParcelWeighed,
)

LOG, RETRY, DLQ = "courier.events", "courier.retry", "courier.dlq"


@dataclass(frozen=True)
class Ask(Request):
    """The one thing the outside is asked."""

    parcel_id: str


@dataclass(frozen=True)
class Answered(Outcome):
    parcel_id: str


@dataclass(frozen=True)
class Life:
    """What was decided for a key, in order."""

    story: tuple[str, ...] = ()
    settled: bool = False


def decide(message: Message | Outcome, life: Life) -> Sequence[Message | Request]:
    """ParcelSent asks; a weight of nothing raises; the rest is noted. A settled key asks nobody."""
    match message:
        case ParcelSent(parcel_id=key):
            return [CourierNoted(parcel_id=key, note="late")] if life.settled else [Ask(key)]
        case Answered(parcel_id=key):
            return [CourierBooked(parcel_id=key)]
        case ParcelWeighed(parcel_id=key, grams=grams):
            return [CourierNoted(parcel_id=key, note=f"weighed {10 // grams}")]
        case ParcelLost(parcel_id=key):
            return [CourierNoted(parcel_id=key, note="settled")]
        case DeadlinePassed(key=key):
            return [CourierNoted(parcel_id=key, note="deadline")]
    raise AssertionError(message)


def evolve(life: Life, event: Message) -> Life:
    match event:
        case CourierNoted(note=entry) | CourierRefused(reason=entry):
            pass
        case _:
            entry = event.name
    return Life((*life.story, entry), life.settled or entry == "settled")


def give_up(request: Ask, life: Life, reason: str) -> Sequence[Message]:
    return [] if life.settled else [CourierRefused(parcel_id=request.parcel_id, reason="settled")]


async def nobody(request: Request) -> Outcome:
    raise AssertionError("the test answers itself")


REACTOR: Reactor[Life] = Reactor(
    log=LOG,
    inputs=(ParcelSent, ParcelWeighed, ParcelLost),
    initial=Life(),
    decide=decide,
    evolve=evolve,
    settling=(ParcelLost,),
    call=nobody,
)


def sent(key: str) -> ParcelSent:
    return ParcelSent(parcel_id=key, sender="anne")


def weighed(key: str, grams: int = 1) -> ParcelWeighed:
    return ParcelWeighed(parcel_id=key, grams=grams)


def lost(key: str) -> ParcelLost:
    return ParcelLost(parcel_id=key, reason="r")


class Bench:
    """One partition, one reactor. ``records`` are the topics as written, ``now`` is ms since epoch."""

    def __init__(
        self,
        path: Path,
        reactor: Reactor[Life] = REACTOR,
        policy: RetryPolicy | None = None,
        codec: Codec | None = None,
    ) -> None:
        self.path, self.reactor, self.now = path, reactor, 1_000_000
        self.policy = policy or RetryPolicy()
        self.codec, self.records, self.inputs = codec or Codec("parcels"), list[Raw](), list[Raw]()
        self.start(path / "a.sqlite")

    def start(self, path: Path) -> None:
        """A process begins, with the state of ``path``."""
        self.store = Store(path, [self.reactor], retry=RETRY)
        self.due_queue = DueQueue(self.store)
        self.requests: list[tuple[WorkItem, Request]] = []
        self.due_queue.rebuild([0])
        settings = Settings(
            retry_attempts=self.policy.attempts,
            retry_backoff=self.policy.backoff,
            retry_longest=self.policy.longest,
            breaker_threshold=3,
            max_event_bytes=10_000,
            max_command_bytes=10_000,
        )
        self.context = turn_context(
            "courier",
            {LOG: self.reactor},
            self.codec,
            settings,
            self.store,
            lambda key: 0,
            clock=lambda: self.now,
            jitter=lambda: 0.0,
            version="1",
        )
        self.breaker = self.context.breaker

    def raw(self, message: Message) -> Raw:
        """The next record of the message's topic."""
        topic = "courier.admin" if message.topic == "admin" else message.topic
        offset = sum(r.topic == topic for r in self.inputs)
        envelope = Envelope(
            message=message.stamp(self.now),
            id=f"{topic}-{offset}",
            time=self.now,
            source="/test",
            correlation_id="c",
            cause=None,
            key_version=None,
            traceparent=None,
            topic=topic,
            partition=0,
            offset=offset,
        )
        value = self.codec.encode(message)
        return Raw(topic, 0, offset, message.key.encode(), value, headers_of(envelope), self.now)

    def feed(self, *messages: Message) -> None:
        """These messages arrive, in one batch."""
        raws = []
        for message in messages:
            raws.append(self.raw(message))
            self.inputs.append(raws[-1])
        self.read(raws)

    def read(self, raws: Sequence[Raw], *, commit: bool = True) -> Turn:
        turn = Turn(self.context)
        works = turn.decode(raws)
        turn.load(works)
        turn.decide(works)
        return self.conclude(turn) if commit else turn

    def answer(self, key: str, outcome: Outcome | Exception | None = None) -> None:
        """The outside answers what was asked about a key."""
        work, request = next(r for r in self.requests if r[0].key == key)
        self.requests.remove((work, request))
        turn = Turn(self.context)
        turn.resume(work, request, outcome or Answered(key))
        self.conclude(turn)

    def wait(self, ms: int) -> list[str]:
        """Time passes; returns the keys whose turn has come."""
        self.now += ms
        turn = Turn(self.context)
        due = self.due_queue.due(self.now, 100)
        for entity in due:
            turn.retry(entity, self.reactor)
        self.conclude(turn)
        return [key for _, key in due]

    def conclude(self, turn: Turn) -> Turn:
        """Steps 5 and 6."""
        turn.conclude()
        written = [(out, self._append(out)) for out in turn.outgoing]
        self.store.write(
            turn.folds,
            [placed(out, offset) for out, offset in written if out.event],
            {},
            [(RETRY, out.parked) for out, _ in written if out.parked],
        )
        for entity in {out.parked.entity for out in turn.outgoing if out.parked}:
            self.due_queue.note(entity, turn.retry_queues.queue(entity))
        self.requests += turn.requests
        return turn

    def _append(self, out: Outgoing) -> int:
        offset = sum(r.topic == out.topic for r in self.records)
        self.records.append(Raw(out.topic, 0, offset, out.key, out.value, out.headers, self.now))
        return offset

    def topic(self, name: str) -> list[Raw]:
        return [r for r in self.records if r.topic == name]

    def waits(self, key: str) -> list[tuple[str, State]]:
        """What waits for a key: the names of its messages, and how."""
        queue = self.store.parked.queue(Entity(LOG, key))
        return [(self.codec.decode(p.raw).message.name, p.state) for p in queue]

    def story(self, key: str) -> tuple[str, ...]:
        return self.store.load(self.reactor, key).state.story

    def asked(self) -> list[str]:
        return [work.key for work, _ in self.requests]

    def compacted(self) -> list[Raw]:
        """The retry topic as compaction leaves it: the last record of each key."""
        return list({r.key: r for r in self.topic(RETRY)}.values())

    def take_over(self) -> None:
        """Another replica goes on, which has folded the logs and was never asked anything."""
        other = Store(self.path / f"{len(self.records)}.sqlite", [self.reactor], retry=RETRY)
        folds: dict[Entity, tuple[int, Folded[Any]]] = {}
        for key in {r.key.decode() for r in self.topic(LOG) if r.key}:
            folds[Entity(LOG, key)] = (0, self.store.load(self.reactor, key))
        other.write(folds, [], {}, [(RETRY, Parked.from_record(r)) for r in self.compacted()])
        other.close()
        self.start(other.path)


def with_giving_up() -> Reactor[Life]:
    return replace(REACTOR, on_retries_exhausted=give_up)
