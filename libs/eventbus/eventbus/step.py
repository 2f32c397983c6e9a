"""Steps 2 to 4 of the processor, without Kafka: decode, load, decide, fold in memory.

A :class:`Turn` is the working memory of one transaction. It is dropped if the transaction aborts, and written to
the store once it has committed. :class:`Pending` outlives turns: which keys wait for an answer from outside.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eventbus.admin import Discard, Redrive
from eventbus.codec import Codec, Headers, Raw, headers_of
from eventbus.decider import DeadlinePassed, Decider, Outcome, Reactor, Request
from eventbus.errors import Fenced, Poison, Retryable
from eventbus.messages import Envelope, Message
from eventbus.parking import Parking
from eventbus.retry import Breaker, Parked, RetryPolicy, State
from eventbus.store import Folded, fold

log = logging.getLogger("eventbus.step")
COMMANDS = ".commands"


@dataclass(frozen=True, eq=False)
class Work:
    """Something for a decider to decide: an input record, a parked one whose turn has come, or a deadline."""

    decider: Decider[Any]
    raw: Raw
    key: str
    message: Message | Outcome
    correlation_id: str
    traceparent: str | None = None
    parked: bool = False

    @property
    def entity(self) -> tuple[str, str]:
        return self.decider.log, self.key


@dataclass(frozen=True)
class Outgoing:
    """A record to produce. Its offset matters where it is an ``event`` of an own log, or a ``parked`` message."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    event: Envelope | None = None
    parked: Parked | None = None


class Queue(deque[Work]):
    """Inputs of one key that wait for the call of the one before them; ``partition`` is where the key lives."""

    def __init__(self, partition: int) -> None:
        super().__init__()
        self.partition = partition


@dataclass
class Pending:
    """Keys with a call under way, each with the inputs that queue behind it; and every input not finished."""

    queues: dict[tuple[str, str], Queue] = field(default_factory=dict)
    unfinished: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)

    def begin(self, raw: Raw) -> None:
        offsets = self.unfinished.setdefault((raw.topic, raw.partition), {})
        offsets[raw.offset] = offsets.get(raw.offset, 0) + 1

    def finish(self, raw: Raw) -> None:
        offsets = self.unfinished.get((raw.topic, raw.partition), {})
        if offsets.get(raw.offset, 0) > 1:
            offsets[raw.offset] -= 1
        else:
            offsets.pop(raw.offset, None)

    def lowest(self, topic: str, partition: int) -> int | None:
        """The first offset that is not finished; offsets come in rising order."""
        return next(iter(self.unfinished.get((topic, partition), ())), None)

    def count(self) -> int:
        return sum(len(offsets) for offsets in self.unfinished.values())

    def drop(self, partitions: Iterable[int] | None = None) -> None:
        """Forget what belongs to these partitions (all, if None): another replica will read it again."""
        gone = None if partitions is None else set(partitions)
        for place in [p for p in self.unfinished if gone is None or p[1] in gone]:
            del self.unfinished[place]
        for key in [k for k, queue in self.queues.items() if gone is None or queue.partition in gone]:
            del self.queues[key]


class Router:
    """Which deciders a record is for."""

    def __init__(self, deciders: Sequence[Decider[Any]], codec: Codec) -> None:
        self._codec = codec
        self.deciders = {d.log: d for d in deciders}
        self._by_name: dict[tuple[str, str], list[Decider[Any]]] = {}
        for decider in deciders:
            for cls in decider.inputs:
                self._by_name.setdefault((cls.topic, cls.name), []).append(decider)

    def route(self, raw: Raw) -> Sequence[Decider[Any]]:
        """The deciders subscribed to the record's type, found without decoding it; raises Poison.

        Events nobody subscribed are skipped. A command is always for somebody, so an unknown one is poison.
        """
        name = raw.header("ce_type") or self._codec.name_of(raw.value)
        deciders = self._by_name.get((raw.topic, name), [])
        if not deciders and raw.topic.endswith(COMMANDS):
            raise Poison(f"{raw.topic} takes no {name}")
        return deciders


@dataclass(frozen=True)
class Surroundings:
    """What a turn needs from around it; the same for all turns of a replica."""

    service: str
    version: str
    codec: Codec
    router: Router
    pending: Pending
    breaker: Breaker
    policy: RetryPolicy
    load: Callable[[Decider[Any], str], Folded[Any]]
    load_queue: Callable[[tuple[str, str]], list[Parked]]
    known: Callable[[str], State | None]
    partition_of: Callable[[bytes], int]
    clock: Callable[[], int]
    jitter: Callable[[], float]
    max_bytes: int


class Turn:
    """What one transaction will write, and the state after it."""

    def __init__(self, around: Surroundings) -> None:
        self.outgoing: list[Outgoing] = []
        self.requests: list[tuple[Work, Request]] = []
        self.folds: dict[tuple[str, str], tuple[int, Folded[Any]]] = {}
        self.touched: set[int] = set()
        """Partitions whose task this turn writes for."""
        self.decided = 0
        self.dead = 0
        self.parking = Parking(
            load=around.load_queue,
            known=around.known,
            policy=around.policy,
            clock=around.clock,
            jitter=around.jitter,
        )
        self._around, self._pending = around, around.pending
        self._states: dict[tuple[str, str], Folded[Any]] = {}
        self._asked: set[tuple[str, str]] = set()

    def decode(self, raws: Sequence[Raw]) -> list[Work]:
        """Step 2. What cannot be decoded is buried at once; what nobody subscribed is passed over."""
        works: list[Work] = []
        for raw in raws:
            try:
                if raw.topic == f"{self._around.service}.admin":
                    self._administer(raw)
                    continue
                deciders = self._around.router.route(raw)
                if deciders:
                    envelope = self._decode(raw)
                    works.extend(
                        Work(
                            d,
                            raw,
                            envelope.message.key,
                            envelope.message,
                            envelope.correlation_id,
                            envelope.traceparent,
                        )
                        for d in deciders
                    )
            except Poison as error:
                self._bury(raw, error)
        for work in works:
            self._pending.begin(work.raw)
        return works

    def load(self, works: Sequence[Work]) -> None:
        """Step 3: the state of every key in the batch."""
        for work in works:
            self._state(work)

    def decide(self, works: Sequence[Work]) -> None:
        """Step 4: in order; what belongs to a key that waits for an answer from outside queues behind it."""
        for work in works:
            queue = self._pending.queues.get(work.entity)
            if queue is not None:
                queue.append(work)
            else:
                self._admit(work)

    def retry(self, entity: tuple[str, str], decider: Decider[Any]) -> None:
        """It is a parked key's turn: decide its oldest message again, and what waits behind it."""
        if entity not in self._pending.queues:
            self._drain(entity, decider, early=True)

    def _admit(self, work: Work) -> None:
        """Decide an input, unless it was decided before, or must wait behind others of its key."""
        if self._state(work).has_answered(work.raw.topic, work.raw.offset) or self.parking.knows(work.raw):
            self._pending.finish(work.raw)
        elif self.parking.queue(work.entity) and not self._overtakes(work):
            self.parking.join(work.entity, work.raw)
            self.touched.add(work.raw.partition)
            self._pending.finish(work.raw)
        else:
            self._decide(work, work.message)
            if self._overtakes(work) and not self._asking(work.entity):
                self._answer_waiting(work)

    def _overtakes(self, work: Work) -> bool:
        return isinstance(work.message, (DeadlinePassed, *work.decider.settling))

    def _answer_waiting(self, work: Work) -> None:
        """The entity's life is over: what waited for it is answered by that, dead letters included."""
        self.parking.redrive(work.entity)
        self._drain(work.entity, work.decider, early=True)

    def _drain(self, entity: tuple[str, str], decider: Decider[Any], early: bool = False) -> None:
        """Decide a parked key's messages, oldest first, as far as it goes; ``early``: before the first is due."""
        while queue := self.parking.queue(entity):
            head = queue[0]
            if head.state is State.DEAD or (head.due > self._around.clock() and not early):
                return
            early = False
            self.touched.add(head.raw.partition)
            try:
                envelope = self._around.codec.decode(head.raw)
            except Poison as error:
                self._put_off(head.entity, head.raw, error)
                return
            work = Work(
                decider,
                head.raw,
                head.key,
                envelope.message,
                envelope.correlation_id,
                envelope.traceparent,
                parked=True,
            )
            self._decide(work, work.message)
            if self._asking(entity) or (self.parking.queue(entity)[:1] and self._still_first(head)):
                return

    def _still_first(self, head: Parked) -> bool:
        return self.parking.queue(head.entity)[0].raw.coordinates == head.raw.coordinates

    def resume(self, work: Work, request: Request, outcome: Outcome | Exception) -> None:
        """The outside answered the request of ``work``, or did not; what queued behind it is decided next."""
        if isinstance(outcome, Exception):
            self._unanswered(work, request, outcome)
        else:
            self._around.breaker.success(work.entity)
            self._decide(work, outcome)
        if self._asking(work.entity):
            return
        if self._overtakes(work):
            self._answer_waiting(work)
        else:
            self._drain(work.entity, work.decider)
        queue = self._pending.queues[work.entity]
        while queue and not self._asking(work.entity):
            self._admit(queue.popleft())
        if not queue and not self._asking(work.entity):
            del self._pending.queues[work.entity]

    def _asking(self, entity: tuple[str, str]) -> bool:
        return entity in self._asked

    def _unanswered(self, work: Work, request: Request, error: Exception) -> None:
        """A call failed. What may pass is tried again later; the rest, and the last try, is for people."""
        breaker, reactor = self._around.breaker, work.decider
        assert isinstance(reactor, Reactor)
        passing = isinstance(error, Retryable | TimeoutError)
        if passing:
            breaker.failure(work.entity, self._around.clock())
            self._record(work, reactor.unanswered(request, self._state(work).state))
        settled = False
        if passing and not breaker.is_open and reactor.exhausted and self._last(work):
            reason = f"{type(error).__name__}: {error}"
            settled = self._record(work, reactor.exhausted(request, self._state(work).state, reason))
        if not passing:
            breaker.success(work.entity)
        # What was settled may leave something to find out: the message then gets one more try, and no new charge.
        counted = not (breaker.is_open or settled)
        self._put_off(work.entity, work.raw, error, passing=passing, counted=counted, called=True)
        self._pending.finish(work.raw)

    def _last(self, work: Work) -> bool:
        queue = self.parking.queue(work.entity)
        tried = queue[0].attempt if work.parked and queue else 0
        return tried + 1 >= self._around.policy.attempts

    def _record(self, work: Work, events: Sequence[Message]) -> bool:
        if events:
            self._emit(work, self._state(work), events)
        return bool(events)

    def _put_off(
        self,
        entity: tuple[str, str],
        raw: Raw,
        error: Exception,
        *,
        passing: bool = False,
        counted: bool = True,
        called: bool = False,
    ) -> None:
        self.touched.add(raw.partition)
        self.parking.fail(entity, raw, error, passing=passing, counted=counted, called=called)

    def _administer(self, raw: Raw) -> None:
        """What an operator decided about a key that waits here: on the record, like everything else."""
        wish = self._decode(raw).message
        if not isinstance(wish, Redrive | Discard):
            raise Poison(f"{raw.topic} takes no {wish.name}")
        self.carry_out(wish)

    def carry_out(self, wish: Redrive | Discard) -> None:
        """Redrive or discard what waits for a key. A key with a call under way stays as it is."""
        for log, decider in self._around.router.deciders.items():
            entity = (log, wish.key)
            if entity in self._pending.queues or wish.log not in (None, log):
                continue
            if isinstance(wish, Redrive):
                if self.parking.redrive(entity):
                    self._drain(entity, decider)
            else:
                for parked in self.parking.queue(entity)[: wish.count]:
                    self.parking.discard(parked)
                self._drain(entity, decider)

    def _decide(self, work: Work, message: Message | Outcome) -> None:
        """Decide one message, or what the outside answered to it."""
        try:
            outputs = work.decider.decide(message, self._state(work).state)
            if outputs and isinstance(outputs[0], Request):
                self._ask(work, outputs)
                return
            if outputs:
                self._emit(work, self._state(work), outputs)
        except Fenced:
            raise
        except Exception as error:
            if isinstance(work.message, DeadlinePassed):
                log.exception("the deadline of %s could not be decided", work.entity)
                return
            # A rule that fails on a message must not stop the partition: the message goes where a person sees it,
            # and what comes for its key waits behind it.
            self._put_off(work.entity, work.raw, error, called=isinstance(message, Outcome))
        else:
            self._resolve(work, message, outputs)
        self.decided += 1
        self._pending.finish(work.raw)

    def _resolve(self, work: Work, message: Message | Outcome, outputs: Sequence[Any]) -> None:
        if work.parked:
            head = self.parking.queue(work.entity)[0]
            events = tuple(output.name for output in outputs if output.topic == work.decider.log)
            self.parking.resolve(head, events, called=isinstance(message, Outcome))

    def _ask(self, work: Work, outputs: Sequence[Any]) -> None:
        if len(outputs) != 1:
            raise TypeError(f"a request stands alone, but {work.decider.log} decided {outputs}")
        self.requests.append((work, outputs[0]))
        self._asked.add(work.entity)
        self._pending.queues.setdefault(work.entity, Queue(work.raw.partition))

    def _decode(self, raw: Raw) -> Envelope:
        if raw.key is None:
            raise Poison("the record has no key")
        expected = self._around.partition_of(raw.key)
        if expected != raw.partition:
            raise Poison(
                f"the record stands in partition {raw.partition}, but its key {raw.key!r} belongs to {expected} "
                "(murmur2): its producer uses another partitioner"
            )
        envelope = self._around.codec.decode(raw)
        named = raw.header("ce_type")
        if named and named != envelope.message.name:
            raise Poison(f"ce_type says {named}, the body is {envelope.message.name}")
        return envelope

    def _state(self, work: Work) -> Folded[Any]:
        if work.entity not in self._states:
            self._states[work.entity] = self._around.load(work.decider, work.key)
        return self._states[work.entity]

    def _emit(self, work: Work, folded: Folded[Any], outputs: Sequence[Any]) -> None:
        """Encode and fold all outputs of one input, or none of them."""
        now, produced, version = self._around.clock(), [], folded.version
        base = version
        for index, output in enumerate(outputs):
            message = output.stamp(now)
            own = message.topic == work.decider.log
            version += own
            envelope = self._envelope(work, message, base, index, now, version if own else None)
            value = self._around.codec.encode(message)
            if len(value) > self._around.max_bytes:
                raise Poison(
                    f"{message.name} for {work.raw.coordinates} has {len(value)} bytes, more than "
                    f"{self._around.max_bytes} (EVENTBUS_MAX_EVENT_BYTES)"
                )
            if own:
                folded = fold(work.decider, folded, envelope)
            key = message.key.encode()
            produced.append(
                Outgoing(
                    message.topic,
                    envelope.partition,
                    key,
                    value,
                    headers_of(envelope),
                    envelope if own else None,
                )
            )
        if version == 0 or not any(p.event for p in produced):
            raise TypeError(f"{work.decider.log}: outputs without an own event leave no trace: {outputs}")
        self.outgoing.extend(produced)
        self.touched.add(work.raw.partition)
        self._states[work.entity] = folded
        self.folds[work.entity] = (work.raw.partition, folded)

    def _envelope(
        self, work: Work, message: Message, base: int, index: int, now: int, version: int | None
    ) -> Envelope:
        """``base`` is the key's version before: the same decision repeated carries the same ids."""
        return Envelope(
            message=message,
            id=f"{self._around.service}/{work.raw.coordinates}/{base}.{index}",
            time=now,
            source=f"/{self._around.service}",
            correlation_id=work.correlation_id,
            cause=work.raw.coordinates,
            key_version=version,
            traceparent=work.traceparent,
            topic=message.topic,
            partition=self._around.partition_of(message.key.encode()),
            offset=-1,
        )

    def conclude(self) -> None:
        """After the last decision: what parking changed goes out too."""
        for parked in self.parking.died:
            self._letter(parked)
        for coordinates, parked in self.parking.changed.items():
            self.touched.add(parked.raw.partition)
            self.outgoing.append(
                Outgoing(
                    f"{self._around.service}.retry",
                    parked.raw.partition,
                    coordinates.encode(),
                    parked.raw.value,
                    parked.headers(),
                    parked=parked,
                )
            )

    def _bury(self, raw: Raw, error: Exception) -> None:
        """An undecodable record becomes a dead letter at once: it belongs to no key, so nothing waits for it."""
        nobody = Parked(raw, "", "", 0, State.DEAD, 1, 0, self._around.clock())
        self._letter(nobody.because(error))

    def _letter(self, parked: Parked) -> None:
        """The record as it was, with where it stood, who failed and why in further headers."""
        headers = parked.letter(self._around.service, self._around.version, self._around.clock())
        raw = parked.raw
        self.dead += 1
        self.touched.add(raw.partition)
        self.outgoing.append(
            Outgoing(f"{self._around.service}.dlq", raw.partition, raw.key, raw.value, headers)
        )


def placed(outgoing: Outgoing, offset: int) -> Envelope:
    """The own event of a produced record, now that its offset is known."""
    assert outgoing.event is not None
    return replace(outgoing.event, offset=offset)
