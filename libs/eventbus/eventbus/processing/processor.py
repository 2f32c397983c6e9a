"""The processor: the one loop in which input becomes events, exactly once.

    1. poll a batch, of all tasks led
    2. decode; what cannot be decoded becomes a dead letter as the bytes it was
    3. load the state of the keys in the batch
    4. decide; collect what goes out; fold own events into the new state, in memory
    5. begin a transaction, produce, send the offsets with the group's metadata taken at the poll, commit
    6. only now write state and checkpoint to SQLite, in one local transaction

If 5 fails, 4 is forgotten and the input read again. If the process dies between 5 and 6, or cannot tell how 5 ended,
the store is behind the log, and catches up from it before it goes on: the store follows the log, never the other way
round.
Sources: KIP-98, KIP-447 (exactly once across groups), KIP-848 (the group protocol).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

from eventbus import metrics
from eventbus.codec import Codec
from eventbus.kafka.clients import Clients
from eventbus.kafka.cluster import Cluster
from eventbus.kafka.errors import PASSING, UNREADABLE
from eventbus.kafka.guard import Stuck
from eventbus.kafka.health import BrokerHealth
from eventbus.kafka.records import partition_of, raw_of, unreadable
from eventbus.kafka.transactions import ONE_TRY, Aborted, Superseded, transactionally
from eventbus.model.decider import DeadlinePassed, Decider
from eventbus.model.errors import Fenced
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity, Position
from eventbus.model.record import Raw
from eventbus.processing.due import DueQueue
from eventbus.processing.follower import Follower, Stop
from eventbus.processing.intake import take
from eventbus.processing.outgoing import Outgoing, placed
from eventbus.processing.ports import CallRunner, StateStore
from eventbus.processing.tasks import NOT_YET, Tasks
from eventbus.processing.turn import Turn
from eventbus.processing.work import Pending, Router, TurnContext, WorkItem
from eventbus.retry.breaker import Breaker
from eventbus.settings import Settings

log = logging.getLogger("eventbus.processor")
SETTLING = 3.0
"""Seconds that a new producer has to find its coordinator and have it end what was open. One that was given up sooner
would often come through all the same, and fence the next."""
PROBE_EVERY = 100
"""Ms between two looks for parked keys that may probe."""
Place = tuple[str, int]
"""An input partition: topic (without prefix) and number."""


class Step(StrEnum):
    """What a turn has just done: the places between which a process may die. Crash tests stop at each."""

    POLLED = "1 polled"
    DECODED = "2 decoded"
    LOADED = "3 loaded"
    DECIDED = "4 decided"
    PRODUCED = "5a produced"
    OFFSETS_SENT = "5b offsets sent"
    COMMITTED = "5 committed"
    STORED = "6 stored"


AfterStep = Callable[[Step, int], None]
"""Called after each step with how much of the turn's work it concerned: records, decisions, or outputs."""


class Processor:
    """One replica's loop. Construct and :meth:`run` it on one thread; only :meth:`stop` may come from another."""

    def __init__(
        self,
        service: str,
        deciders: Sequence[Decider[Any]],
        *,
        settings: Settings,
        codec: Codec,
        store: StateStore,
        cluster: Cluster,
        transactional_id: str,
        calls: CallRunner,
        publish: Callable[[Sequence[Envelope], dict[tuple[str, int], int]], None] = lambda events, decided: (
            None
        ),
        after_step: AfterStep = lambda step, count: None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        version: str = "",
        watches: Sequence[str] = (),
        clients: Clients | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        clients = clients or Clients()
        self.service, self.settings, self._store = service, settings, store
        self._calls, self._publish, self._after_step = calls, publish, after_step
        self._clock, self._partitions = clock, cluster.partitions
        self._deciders = {d.log: d for d in deciders}
        self._pending = Pending()
        self.breaker = Breaker(threshold=settings.breaker_threshold, changed=self._breaker_changed)
        metrics.BREAKER.labels(service).set(0)
        self._jitter = jitter
        self._agenda = DueQueue(store)
        self._refused: dict[str, set[str]] = {}
        """By the coordinates of an input, the topics that refused as too large what it led to."""
        self._too_large: dict[Place, Outgoing] = {}
        """By topic and partition, the largest output that was refused in the transaction under way."""
        self._around = TurnContext(
            service=service,
            version=version,
            codec=codec,
            router=Router(deciders, codec),
            pending=self._pending,
            breaker=self.breaker,
            policy=settings.retry_policy(),
            load=store.load,
            load_queue=lambda entity: store.waiting.queue(entity),
            known=lambda coordinates: store.waiting.known(coordinates),
            partition_of=lambda key: partition_of(key, cluster.partitions),
            clock=clock,
            jitter=jitter,
            limits=settings.limits(),
            refused=self._refused,
        )
        self.heard = BrokerHealth(settings.topic_prefix)
        self._monotonic = monotonic
        self.turned_at = monotonic()
        self._stop = threading.Event()
        self._consumer: Consumer = clients.input(settings, service, self.heard)
        self._new_producer = partial(clients.producer, settings, transactional_id)
        self._producer: Producer = self._new_producer()
        self._follower = Follower(settings, service, codec, store, clients, self._around.partition_of)
        self._guarded = clients.guard(self._follower.hears)
        topics = [*sorted({cls.topic for d in deciders for cls in d.inputs}), f"{service}.admin"]
        self.tasks = Tasks(
            settings,
            topics,
            [*self._deciders, f"{service}.retry"],
            cluster.partitions,
            watches=watches,
            consumer=self._consumer,
            follower=self._follower,
            yielding=self._yield,
            ended=self._forget,
            beginning=self._begin,
            led=self._led,
            monotonic=monotonic,
        )
        self._gauges = (
            (metrics.LEADING.labels(service), lambda: len(self.tasks.led)),
            (metrics.IN_FLIGHT.labels(service), calls.in_flight),
            (metrics.HEARD.labels(service), self.heard.silent_for),
        )
        self._committed: dict[Place, int] = {}
        self._passed: dict[Place, int] = {}
        """Behind the last batch of an input that cannot be taken apart: the client's position does not say so."""
        self._concluded: dict[Place, int] = {}
        self._positions: dict[Place, int] = {}
        self._probed_at = 0
        self._committed_at = self._begun_at = monotonic()
        self._metadata: object = None

    def run(self) -> None:
        """Work until stopped; leaves the group at once, with nothing half done."""
        try:
            self.begin()
            while not self._stop.is_set():
                self.turn()
            self._finish_calls()
        except BaseException:
            self._concluded.clear()
            raise
        finally:
            self._consumer.close()
            self._follower.close()

    def begin(self) -> None:
        """Take over the slot's transactions, follow the own logs, enter the group."""
        self._introduce()
        self.tasks.join()

    def stop(self) -> None:
        """Finish the turn under way and return from :meth:`run`. Safe from any thread."""
        self._stop.set()

    @property
    def ready(self) -> bool:
        """Caught up with its own logs, and a member of its group; no record of them stops a task."""
        return self.tasks.ready and not self._follower.stopped

    def stops(self) -> dict[Place, Stop]:
        """The partitions of own logs that a record stops. Any thread."""
        return self._follower.stopped.copy()

    def positions(self) -> dict[Place, int]:
        """The followed partitions of own logs, each with the offset up to which it is folded and told. Any thread."""
        return self._positions

    def turn(self) -> None:
        """The six steps, once; then follow, and take over tasks that are ready."""
        raws = self._poll(self._room())  # step 1
        self._after_step(Step.POLLED, len(raws))
        turn = Turn(self._around)
        works = turn.decode(raws)  # step 2
        self._after_step(Step.DECODED, len(works))
        turn.load(works)  # step 3
        self._after_step(Step.LOADED, len(works))
        for work, request, outcome in self._calls.collect():
            turn.resume(work, request, outcome)
        turn.decide(works)  # step 4
        self._decide_due(turn)
        turn.conclude()
        self._after_step(Step.DECIDED, len(turn.outgoing))
        self._conclude(turn)  # steps 5 and 6
        if events := self._follower.turn():
            self._publish(events, {})
        self.tasks.advance()
        self._positions = self._follower.positions()
        for gauge, value in self._gauges:
            gauge.set(value())
        self.turned_at = self._monotonic()

    def _room(self) -> int:
        """How many inputs this turn may take. With the breaker open, as many as there may be probes of them."""
        if self._pending.count() >= self.settings.max_waiting:
            return 0
        if self.breaker.is_open:
            return self.breaker.room(self._clock(), self._calls.in_flight())[0]
        return self.settings.max_batch

    def _decide_due(self, turn: Turn) -> None:
        """Parked messages whose wait is over, and deadlines that have passed. With the breaker open, some probes."""
        now, led = self._clock(), self.tasks.led
        due = (
            self._probes(turn, now)
            if self.breaker.is_open
            else self._agenda.due(now, self.settings.max_batch)
        )
        for entity in due:
            turn.retry(entity, self._deciders[entity[0]])
        for log_name, key, at in self._agenda.deadlines(now, led):
            decider, partition = self._deciders[log_name], partition_of(key.encode(), self._partitions)
            raw = Raw(f"{log_name}.deadline", partition, at, None, None, [], at)
            turn.decide([WorkItem(decider, raw, key, DeadlinePassed(key, at), correlation_id=key)])

    def _probes(self, turn: Turn, now: int) -> list[Entity]:
        """Parked keys to ask about while the breaker is open, chosen by chance; what new input asks comes first."""
        self.breaker.probed(len(turn.requests))
        if 0 <= now - self._probed_at < PROBE_EVERY:
            return []
        self._probed_at = now
        untried, again = self.breaker.room(now, self._calls.in_flight() + len(turn.requests))
        some, breaker = partial(self._agenda.some, dice=self._jitter), self.breaker
        hopeful = some(untried, lambda entity, due: due <= now and breaker.untried(entity))
        others = some(again, lambda entity, _: entity in breaker.failed) or some(again, lambda *_: True)
        self.breaker.probed(len(hopeful), len(others))
        return [*hopeful, *others]

    def _breaker_changed(self, is_open: bool) -> None:
        metrics.BREAKER.labels(self.service).set(is_open)
        if is_open:
            log.error("calls fail alike for many keys: little input is taken, a few messages at a time probe")
        else:
            log.warning("calls succeed again: input is taken")

    def _poll(self, room: int) -> list[Raw]:
        """Step 1: what has arrived for the tasks led, ``room`` records at most; the group's callbacks are served."""
        self.tasks.pause(not room)
        busy = self._calls.in_flight() > 0 or (self.tasks.catching_up and not self._follower.stopped)
        wait = 0.005 if busy else 0.02 if self.tasks.following else 0.1
        self.tasks.touched.clear()
        raws = []
        for record in take(self._consumer, wait, room, self.settings.max_batch_bytes):
            raw = self._raw(record)
            # A partition that came or went while this batch was gathered is read again from its committed offset.
            if raw and raw.partition in self.tasks.led and raw.partition not in self.tasks.touched:
                raws.append(raw)
        self._metadata = self._consumer.consumer_group_metadata()
        return raws

    def _raw(self, record: Record) -> Raw | None:
        """A record polled, unless it is the note of an error, or set aside by an operator."""
        if error := record.error():
            if error.code() in UNREADABLE:
                return self._pass_unreadable(record, error)
            self._note(error)
            return None
        raw = raw_of(record, self.settings.topic_prefix)
        if raw.position in self._follower.skips:
            metrics.SKIPPED.labels(raw.topic).inc()
            log.warning("%s is skipped, as an operator said", raw.coordinates)
            return None
        return raw

    def _pass_unreadable(self, record: Record, error: KafkaError) -> Raw | None:
        """Go on behind a batch that cannot be taken apart. What stands for it becomes a dead letter, once."""
        topic, partition, first = record.topic(), record.partition(), record.offset()
        assert topic is not None and partition is not None and first is not None
        place = (topic.removeprefix(self.settings.topic_prefix), partition)
        if first < self._passed.get(place, 0):
            return None
        try:
            after = self._follower.after_unreadable(place, first)
            self._consumer.seek(TopicPartition(topic, partition, after))
        except KafkaException as exception:
            if exception.args[0].code() not in PASSING | NOT_YET:
                raise
            return None  # the client says it again
        self._passed[place] = after
        log.error("%s-%d from %d to %d is passed over: %s", *place, first, after - 1, error.str())
        return unreadable(*place, first, error)

    def _note(self, error: KafkaError) -> None:
        if error.fatal() or not (error.retriable() or error.code() in PASSING):
            raise KafkaException(error)
        log.warning("input: %s", error.str())

    def _conclude(self, turn: Turn) -> None:
        """Steps 5 and 6. Offsets of input that led to nothing wait for the next commit, a second at most.

        Every task that is written for has its offsets in the transaction, moved or not: they carry the group's
        metadata, and so a replica that no longer leads the task cannot commit.
        """
        decided = self._decided()
        moved = {place: upto for place, upto in decided.items() if upto > self._committed.get(place, -1)}
        if turn.outgoing or (moved and self._monotonic() - self._committed_at > 1.0):
            offsets = moved | self._standing(turn.touched, decided)
            try:
                with metrics.COMMIT.labels(self.service).time():
                    written = self._commit(turn.outgoing, offsets)  # step 5
            except Aborted as reason:
                self._rewind(str(reason))
                return
            except Stuck as reason:
                self._start_over(str(reason))
                return
            self._after_step(Step.COMMITTED, len(turn.outgoing))
            if written:
                self._fold(turn, written)  # step 6
            self._after_step(Step.STORED, len(turn.outgoing))
            self._report(turn)
            self._publish([placed(out, offset) for out, offset in written if out.event], decided)
        elif moved:
            self._publish([], decided)
        self._concluded, self.heard.decided = decided, self._committed | decided
        for work, request in turn.requests:
            self._calls.start(work, request)

    def _fold(self, turn: Turn, written: list[tuple[Outgoing, int]]) -> None:
        """Step 6: what is true in the logs becomes true here, in one local transaction."""
        retry = f"{self.service}.retry"
        upto: dict[Place, int] = {}
        for out, offset in written:
            upto[out.topic, out.partition] = max(offset + 1, upto.get((out.topic, out.partition), 0))
        self._store.write(
            turn.folds,
            [placed(out, offset) for out, offset in written if out.event],
            upto,
            [(retry, out.parked) for out, _ in written if out.parked],
        )
        for entity in sorted({out.parked.entity for out, _ in written if out.parked}):
            self._agenda.note(entity, turn.parking.queue(entity))

    def _standing(self, partitions: set[int], decided: dict[Place, int]) -> dict[Place, int]:
        """Where the inputs of these tasks stand; an input not read since it was assigned, where its group stands."""
        if strange := partitions - self.tasks.led:
            raise Fenced(f"something was decided for tasks that are not led here: {sorted(strange)}")
        return {
            place: decided.get(place, max(upto, 0))
            for place, upto in self._committed.items()
            if place[1] in partitions
        }

    def _decided(self) -> dict[Place, int]:
        """By input partition, the offset up to which everything is decided."""
        inputs = self.tasks.inputs()
        decided: dict[Place, int] = {}
        for tp in self._consumer.position(inputs) if inputs else []:
            place = (tp.topic.removeprefix(self.settings.topic_prefix), tp.partition)
            lowest = self._pending.lowest(*place)
            upto = max(tp.offset, self._passed.get(place, -1)) if lowest is None else lowest
            if upto >= 0:
                decided[place] = upto
        return decided

    def _commit(self, outgoing: Sequence[Outgoing], upto: dict[Place, int]) -> list[tuple[Outgoing, int]]:
        """Step 5. Returns what went to own logs, with its offsets; raises Aborted, Fenced, or Stuck (who knows?)."""
        written: list[tuple[Outgoing, int]] = []
        self._begun_at = self._monotonic()
        transactionally(self._producer.begin_transaction)
        for out in outgoing:
            self._produce(out, written)
        self._after_step(Step.PRODUCED, len(outgoing))
        offsets = [TopicPartition(self.settings.topic(t), i, offset) for (t, i), offset in upto.items()]
        if offsets:
            try:
                self._transact(self._producer.send_offsets_to_transaction, offsets, self._metadata, ONE_TRY)
            except Stuck as reason:
                raise Aborted(str(reason)) from reason
        self._after_step(Step.OFFSETS_SENT, len(outgoing))
        self._transact(self._producer.commit_transaction, ONE_TRY)
        if len(written) != sum(1 for out in outgoing if out.event or out.parked):
            raise RuntimeError("a committed transaction left own records without an offset")
        self._guarded.well()
        self._committed |= upto
        self._committed_at = self._monotonic()
        return written

    def _transact(self, call: Callable[..., Any], *args: Any, grace: float = 0.0) -> None:
        """A call that the transaction needs. Raises Aborted, Fenced, or Stuck: another producer is to go on."""
        try:
            self._guarded(transactionally, call, *args, grace=grace)
        except Superseded as error:
            raise self._superseded(error) from error

    def _superseded(self, error: Exception) -> Exception:
        """What it means that the producer's epoch is over: that another process has its place, or only that a
        producer that was left behind came after it, or that the transaction lasted for so long that its coordinator
        ended it, as when a broker stood still."""
        lasted = self._monotonic() - self._begun_at
        if self._guarded.ghost() or lasted >= self.settings.transaction_timeout - 1.0:
            return Stuck(f"after {lasted:.1f} s: {error}")
        return error

    def _rewind(self, reason: str) -> None:
        """Step 5 failed: forget what was decided and read again from what is committed."""
        log.warning("transaction aborted, its input is read again: %s", reason)
        metrics.ABORTED.labels(self.service).inc()
        self._abort()
        self._blame()
        self._pending.drop()
        self._calls.forget()
        self._concluded.clear()
        self._passed.clear()
        self._agenda.rebuild(self.tasks.led)
        self._agenda.forget_answered()
        self._seek(self.tasks.led)

    def _start_over(self, reason: str) -> None:
        """Step 5 ended nobody knows how: the new producer settles it, and the logs say what it came to."""
        log.warning("how a transaction ended is not known, its tasks are taken over anew: %s", reason)
        metrics.ABORTED.labels(self.service).inc()
        self._abort()
        self.tasks.lead_again()
        self._agenda.forget_answered()

    def _seek(self, partitions: set[int]) -> None:
        """Read these tasks' inputs from what is committed; what is buffered of them is dropped."""
        for tp in self.tasks.inputs(partitions):
            place = (tp.topic.removeprefix(self.settings.topic_prefix), tp.partition)
            upto = self._committed.get(place, -1)
            while Position(*place, max(upto, 0)) in self._follower.skips:
                upto = (
                    max(upto, 0) + 1
                )  # what is skipped is not even fetched: it may be too large for this process
            self._consumer.seek(
                TopicPartition(tp.topic, tp.partition, upto if upto >= 0 else OFFSET_BEGINNING)
            )

    def _abort(self) -> None:
        """Go on with a new producer, in a new epoch: to begin with, it ends the transaction of the one before.

        The client may number what it sends next like what was under way when it failed. In the same epoch a broker
        takes that for a repetition: it acknowledges it, with the offset of what was aborted, and writes nothing.
        """
        self._producer = self._new_producer()
        self._introduce()

    def _introduce(self) -> None:
        """Have the slot's transactions ended, committed or not, before any of this producer begins."""
        while True:
            try:
                self._transact(self._producer.init_transactions, ONE_TRY, grace=SETTLING)
                return
            except Stuck as reason:
                log.warning("%s: another producer tries", reason)
                self._producer = self._new_producer()
            except Aborted as reason:
                raise Fenced(f"the transaction can neither commit nor abort: {reason}") from reason

    def _begin(self, topic: str, partition: int, committed: int) -> None:
        """A task is about to be led: its input goes on from ``committed`` (negative: never committed)."""
        self._committed[topic, partition] = committed

    def _led(self, partition: int) -> None:
        """The task is led from now on, from what is committed; up to there everything is folded here."""
        self._seek({partition})
        self._agenda.rebuild(self.tasks.led)
        self._publish([], {p: max(upto, 0) for p, upto in self._committed.items() if p[1] == partition})

    def _yield(self, partitions: set[int]) -> None:
        """These tasks go to another replica: hand them over with all that is finished committed.

        This runs inside a poll, so what counts is where the last turn ended, not the consumer's position.
        """
        moved = {
            place: upto
            for place, upto in self._concluded.items()
            if place[1] in partitions and upto > self._committed.get(place, -1)
        }
        if not moved:
            return
        try:
            self._commit([], moved)
        except (Aborted, Stuck) as reason:
            log.warning("offsets of yielded tasks not committed, they will be read again: %s", reason)
            self._abort()

    def _forget(self, partitions: set[int]) -> None:
        self._pending.drop(partitions)
        self._calls.forget(partitions)
        self._committed = {p: upto for p, upto in self._committed.items() if p[1] not in partitions}
        self._passed = {p: upto for p, upto in self._passed.items() if p[1] not in partitions}
        self._concluded = {p: upto for p, upto in self._concluded.items() if p[1] not in partitions}
        self._agenda.rebuild(self.tasks.led)

    def _finish_calls(self) -> None:
        """Stopping: take no more input, but give calls under way a moment to end, so that none is repeated."""
        self.tasks.pause(True)
        deadline = time.monotonic() + 5.0
        while self._calls.in_flight() and time.monotonic() < deadline:
            time.sleep(0.005)
            turn = Turn(self._around)
            for work, request, outcome in self._calls.collect():
                turn.resume(work, request, outcome)
            turn.conclude()
            self._conclude(turn)

    def _report(self, turn: Turn) -> None:
        metrics.DECIDED.labels(self.service).inc(turn.decided)
        metrics.DEAD.labels(self.service).inc(turn.dead)
        if turn.dead:
            log.error("%d messages went to %s.dlq", turn.dead, self.service)

    def _produce(self, out: Outgoing, written: list[tuple[Outgoing, int]]) -> None:
        def delivered(error: KafkaError | None, record: Record) -> None:
            if error is not None:
                self._refuse(out, error)
            elif out.event or out.parked:
                offset = record.offset()
                assert offset is not None
                written.append((out, offset))

        while True:
            try:
                self._producer.produce(
                    self.settings.topic(out.topic),
                    value=out.value,
                    key=out.key,
                    partition=out.partition,
                    headers=list(out.headers),
                    on_delivery=delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as exception:
                error = exception.args[0]
                if error.fatal() or error.code() == KafkaError._FATAL:
                    raise self._superseded(
                        Superseded(f"the producer may not go on: {error.str()}")
                    ) from exception
                self._refuse(out, error)
                raise Aborted(error.str()) from exception

    def _refuse(self, out: Outgoing, error: KafkaError) -> None:
        """Note an output that is too large for its topic. Its whole batch fails alike, so the largest is to blame."""
        place = (out.topic, out.partition)
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            known = self._too_large.get(place)
            self._too_large[place] = out if known is None or out.size > known.size else known

    def _blame(self) -> None:
        """Inputs that lead to what Kafka refuses become dead letters when they are read again."""
        for out in self._too_large.values():
            metrics.REFUSED.labels(self.service).inc()
            log.error("%s refuses as too large what %s leads to", out.topic, out.cause)
            self._refused.setdefault(out.cause, set()).add(out.topic)
        self._too_large.clear()
