"""Steps 2 to 4 of the processor, without Kafka: decode, load, decide, fold in memory.

A :class:`Turn` is the working memory of one transaction. It is dropped if the transaction aborts, and written to
the store once it has committed. What outlives turns is :class:`~eventbus.processing.work.Pending`: which keys wait
for an answer from outside.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eventbus import metrics
from eventbus.admin import Discard, Redrive
from eventbus.headers import left_out
from eventbus.model.decider import DeadlinePassed, Decider, Outcome, Reactor, Request
from eventbus.model.errors import Fenced, Mismatch, Poison, Retryable
from eventbus.model.folding import Folded
from eventbus.model.limits import MAX_KEY
from eventbus.model.messages import Envelope, Message
from eventbus.model.record import Raw
from eventbus.processing.outgoing import Outgoing, dead_letter, produced, retry_record
from eventbus.processing.work import KeyQueue, TurnContext, WorkItem
from eventbus.retry.parked import Parked, State
from eventbus.retry.queues import RetryQueues

log = logging.getLogger("eventbus.step")


class Turn:
    """What one transaction will write, and the state after it."""

    def __init__(self, around: TurnContext) -> None:
        self.outgoing: list[Outgoing] = []
        self.requests: list[tuple[WorkItem, Request]] = []
        self.folds: dict[tuple[str, str], tuple[int, Folded[Any]]] = {}
        self.touched: set[int] = set()
        """Partitions whose task this turn writes for."""
        self.decided = 0
        self.dead = 0
        self.parking = RetryQueues(
            load=around.load_queue,
            known=around.known,
            policy=around.policy,
            clock=around.clock,
            jitter=around.jitter,
        )
        self._around, self._pending = around, around.pending
        self._states: dict[tuple[str, str], Folded[Any]] = {}
        self._asked: set[tuple[str, str]] = set()

    def decode(self, raws: Sequence[Raw]) -> list[WorkItem]:
        """Step 2. What cannot be decoded is buried at once; what nobody subscribed is passed over."""
        works: list[WorkItem] = []
        for raw in raws:
            try:
                works.extend(self._works(raw))
            except Poison as error:
                self._bury(raw, error)
            except Exception as error:
                # Nobody foresaw this. It is a bug, but a record must not stop its partition for good.
                log.exception("%s: decoding failed in an unforeseen way", raw.coordinates)
                self._bury(raw, error)
        for work in works:
            self._pending.begin(work.raw)
        return works

    def _works(self, raw: Raw) -> list[WorkItem]:
        """What a record is to be decided for. Raises Poison."""
        limits = self._around.limits
        if raw.flaw:
            raise Poison(raw.flaw)
        if raw.size > limits.input:
            raise Poison(
                f"the record has {raw.size} bytes, more than {limits.input} (EVENTBUS_MAX_INPUT_BYTES)"
            )
        if raw.topic == f"{self._around.service}.admin":
            self._administer(raw)
            return []
        deciders = self._around.router.route(raw)
        if not deciders:
            return []
        envelope = self._decode(raw)
        for name in left_out(raw):
            metrics.LEFT_OUT.labels(self._around.service, name).inc()
        return [WorkItem.of(decider, raw, envelope) for decider in deciders]

    def load(self, works: Sequence[WorkItem]) -> None:
        """Step 3: the state of every key in the batch."""
        for work in works:
            self._state(work)

    def decide(self, works: Sequence[WorkItem]) -> None:
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

    def _admit(self, work: WorkItem) -> None:
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

    def _overtakes(self, work: WorkItem) -> bool:
        return isinstance(work.message, (DeadlinePassed, *work.decider.settling))

    def _answer_waiting(self, work: WorkItem) -> None:
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
                self._refuse_again(head.raw)
                envelope = self._around.codec.decode(head.raw)
            except Poison as error:
                self._put_off(head.entity, head.raw, error)
                return
            work = WorkItem.of(decider, head.raw, envelope, parked=True)
            self._decide(work, work.message)
            if self._asking(entity) or (self.parking.queue(entity)[:1] and self._still_first(head)):
                return

    def _still_first(self, head: Parked) -> bool:
        return self.parking.queue(head.entity)[0].raw.coordinates == head.raw.coordinates

    def resume(self, work: WorkItem, request: Request, outcome: Outcome | Exception) -> None:
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

    def _unanswered(self, work: WorkItem, request: Request, error: Exception) -> None:
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

    def _last(self, work: WorkItem) -> bool:
        queue = self.parking.queue(work.entity)
        tried = queue[0].attempt if work.parked and queue else 0
        return tried + 1 >= self._around.policy.attempts

    def _record(self, work: WorkItem, events: Sequence[Message]) -> bool:
        if events:
            self._emit(work, events)
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

    def _decide(self, work: WorkItem, message: Message | Outcome) -> None:
        """Decide one message, or what the outside answered to it."""
        try:
            outputs = work.decider.decide(message, self._state(work).state)
            if outputs and isinstance(outputs[0], Request):
                self._ask(work, outputs)
                return
            if outputs:
                self._emit(work, outputs)
        except Fenced:
            raise
        except Exception as error:
            if isinstance(work.message, DeadlinePassed):
                log.exception("the deadline of %s could not be decided", work.entity)
                return
            if isinstance(error, Mismatch):
                self._contradicted(work, error)
            else:
                # A rule that fails on a message must not stop the partition: the message goes where a person sees it,
                # and what comes for its key waits behind it.
                self._put_off(work.entity, work.raw, error, called=isinstance(message, Outcome))
        else:
            self._resolve(work, message, outputs)
        self.decided += 1
        self._pending.finish(work.raw)

    def _resolve(self, work: WorkItem, message: Message | Outcome, outputs: Sequence[Any]) -> None:
        if work.parked:
            head = self.parking.queue(work.entity)[0]
            events = tuple(output.name for output in outputs if output.topic == work.decider.log)
            self.parking.resolve(head, events, called=isinstance(message, Outcome))

    def _ask(self, work: WorkItem, outputs: Sequence[Any]) -> None:
        if len(outputs) != 1:
            raise TypeError(f"a request stands alone, but {work.decider.log} decided {outputs}")
        self.requests.append((work, outputs[0]))
        self._asked.add(work.entity)
        self._pending.queues.setdefault(work.entity, KeyQueue(work.raw.partition))

    def _refuse_again(self, raw: Raw) -> None:
        """Raises Poison if Kafka did not take what the record leads to: it would not take it now."""
        if raw.coordinates in self._around.refused:
            raise Poison(
                f"Kafka refused as too large what {raw.coordinates} leads to: is max.message.bytes of a topic lower "
                "than EVENTBUS_MAX_EVENT_BYTES or EVENTBUS_MAX_COMMAND_BYTES?"
            )

    def _decode(self, raw: Raw) -> Envelope:
        if not raw.key:
            raise Poison("the record has no key, or an empty one")
        self._refuse_again(raw)
        expected = self._around.partition_of(raw.key)
        if expected != raw.partition:
            raise Poison(
                f"the record stands in partition {raw.partition}, but its key {raw.key[:MAX_KEY]!r} belongs to "
                f"{expected} (murmur2): its producer uses another partitioner"
            )
        envelope = self._around.codec.decode(raw)
        named = raw.header("ce_type")
        if named and named != envelope.message.name:
            raise Poison(f"ce_type says {named[:MAX_KEY]}, the body is {envelope.message.name}")
        return envelope

    def _state(self, work: WorkItem) -> Folded[Any]:
        if work.entity not in self._states:
            self._states[work.entity] = self._around.load(work.decider, work.key)
        return self._states[work.entity]

    def _emit(self, work: WorkItem, outputs: Sequence[Any]) -> None:
        """Write and fold all outputs of one input, or none of them."""
        records, folded = produced(self._around, work, self._state(work), outputs)
        self.outgoing.extend(records)
        self.touched.add(work.raw.partition)
        self._states[work.entity] = folded
        self.folds[work.entity] = (work.raw.partition, folded)

    def conclude(self) -> None:
        """After the last decision: what parking changed goes out too."""
        for parked in self.parking.died:
            self._letter(parked)
        for parked in self.parking.changed.values():
            self.touched.add(parked.raw.partition)
            self.outgoing.append(retry_record(self._around.service, parked))

    def _bury(self, raw: Raw, error: Exception) -> None:
        """A record that belongs to no key becomes a dead letter at once, and nothing waits for it. Only once."""
        if not self.parking.knows(raw):
            self._letter(self.parking.bury(raw, error))

    def _contradicted(self, work: WorkItem, error: Mismatch) -> None:
        """A dead letter that parks nothing; if the message was parked, what waits behind it goes on."""
        if not work.parked:
            self._bury(work.raw, error)
            return
        head = self.parking.queue(work.entity)[0]
        self.parking.discard(head)
        self._letter(replace(head, attempt=head.attempt + 1).because(error))

    def _letter(self, parked: Parked) -> None:
        self.dead += 1
        self.touched.add(parked.raw.partition)
        self.outgoing.append(dead_letter(self._around, parked))
