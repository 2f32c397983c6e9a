"""Steps 2 to 4 of the processor, without Kafka: decode, load, decide, fold in memory.

A :class:`Turn` is the working memory of one transaction. It is dropped if the transaction aborts, and written to
the store once it has committed. What outlives turns is in the context: the keys with a call under way, and the inputs
that are not finished.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from eventbus.admin import Discard, Redrive
from eventbus.model.decider import DeadlinePassed, Decider, Outcome, Reactor, Request
from eventbus.model.errors import Mismatch, Poison, ProcessMustEnd, Retryable
from eventbus.model.folding import Folded
from eventbus.model.messages import Author, Message
from eventbus.model.places import Entity
from eventbus.model.record import Raw
from eventbus.model.requests import RequestId
from eventbus.model.rules import check_input, check_outputs
from eventbus.processing.context import TurnContext
from eventbus.processing.decoding import decode, work_items
from eventbus.processing.outgoing import Outgoing, dead_letter, produced, retry_record
from eventbus.processing.work import KeyQueue, Unread, WorkItem
from eventbus.retry.parked import Parked, State
from eventbus.retry.queues import RetryQueues

log = logging.getLogger("eventbus.turn")


class Turn:
    """What one transaction will write, and the state after it."""

    def __init__(self, context: TurnContext) -> None:
        self.outgoing: list[Outgoing] = []
        self.requests: list[tuple[WorkItem, Request]] = []
        self.folds: dict[Entity, tuple[int, Folded[Any]]] = {}
        self.tasks: set[int] = set()
        """The tasks that this turn writes for."""
        self.decided = 0
        self.dead = 0
        self.retry_queues = RetryQueues(context.state.parked, context.policy, context.clock, context.jitter)
        self._context = context
        self._states: dict[Entity, Folded[Any]] = {}
        self._asking: set[Entity] = set()
        self._buried = 0
        self._noted: dict[str, Parked] = {}

    def decode(self, raws: Iterable[Raw]) -> list[WorkItem]:
        """Step 2. What cannot be decoded becomes a dead letter at once; what no decider takes is passed over."""
        items: list[WorkItem] = []
        for raw in raws:
            try:
                found = work_items(self._context, raw)
                if isinstance(found, list):
                    items += found
                else:
                    self.carry_out(found.message, found.author)
            except Poison as error:
                self._reject(raw, error)
            except Exception as error:
                # An unexpected error is a bug, but a record must not stop its partition for good.
                log.exception("%s: decoding failed in an unforeseen way", raw.coordinates)
                self._reject(raw, error)
        for item in items:
            self._context.offsets.start(item.raw)
        return items

    def load(self, items: Sequence[WorkItem]) -> None:
        """Step 3: the state of every key in the batch."""
        for item in items:
            self._state(item)

    def decide(self, items: Sequence[WorkItem]) -> None:
        """Step 4: in order. What belongs to a key with a call under way queues behind that call."""
        for item in items:
            queue = self._context.queues.get(item.entity)
            if queue is not None:
                queue.append(item)
            else:
                self._admit(item)

    def retry(self, entity: Entity, decider: Decider[Any]) -> None:
        """Decide the oldest message of a parked key again, and what waits behind it."""
        if entity not in self._context.queues:
            self._drain(entity, decider, early=True)

    def resume(self, item: WorkItem, request: Request, outcome: Outcome | Exception) -> None:
        """A call has ended, with an outcome or an error. What queued behind it is decided next."""
        if isinstance(outcome, Exception):
            self._call_failed(item, request, outcome)
        else:
            self._context.breaker.success(item.entity)
            self._decide(item, outcome)
        if item.entity in self._asking:
            return
        if _settles(item):
            self._process_parked(item)
        else:
            self._drain(item.entity, item.decider)
        queue = self._context.queues[item.entity]
        while queue and item.entity not in self._asking:
            self._admit(queue.popleft())
        if not queue and item.entity not in self._asking:
            del self._context.queues[item.entity]

    def carry_out(self, command: Message, author: Author | None = None) -> None:
        """Redrive or discard what waits for a key. A key with a call under way stays as it is."""
        assert isinstance(command, Redrive | Discard)
        by = author.id if author else ""
        for log_name, decider in self._context.router.deciders.items():
            entity = Entity(log_name, command.key)
            if entity in self._context.queues or command.log not in (None, log_name):
                continue
            if isinstance(command, Redrive):
                if self.retry_queues.redrive(entity, by):
                    self._drain(entity, decider)
            else:
                for parked in self.retry_queues.queue(entity)[: command.count]:
                    self.retry_queues.discard(parked, by)
                self._drain(entity, decider)

    def follow(self, item: WorkItem) -> bool:
        """Decide an own message at once. False if that is not possible: nothing has changed then, and it is to be
        written.

        What leads to nothing is written too. Only a transaction shows whether its task is still led here.
        """
        refused = item.raw.coordinates in self._context.refused
        if refused or item.entity in self._context.queues or self.retry_queues.queue(item.entity):
            return False
        try:
            outputs = item.decider.decide(item.message, self._state(item).state)
            if not outputs:
                return False
            self._emit(item, outputs)
        except ProcessMustEnd:
            raise
        except Exception as error:
            # It fails again when it is read, and waits there where a person sees it.
            log.info("an own message of %s is written, deciding it failed: %r", item.entity, error)
            return False
        self.decided += 1
        return True

    def conclude(self) -> None:
        """After decisions: what changed among the parked messages, since this was last called, is written too."""
        for parked in self.retry_queues.died[self._buried :]:
            self._write_dead_letter(parked)
        self._buried = len(self.retry_queues.died)
        for place, parked in self.retry_queues.changed.items():
            if self._noted.get(place) is not parked:
                self._noted[place] = parked
                self.tasks.add(parked.raw.partition)
                self.outgoing.append(retry_record(self._context.service, parked))

    def _admit(self, item: WorkItem) -> None:
        """Decide an input, unless it was decided before, or must wait behind others of its key."""
        state = self._state(item)
        if state.has_answered(item.raw.topic, item.raw.offset) or self.retry_queues.knows(item.raw):
            self._context.offsets.finish(item.raw)
        elif self.retry_queues.queue(item.entity) and not _settles(item):
            self.retry_queues.join(item.entity, item.raw)
            self.tasks.add(item.raw.partition)
            self._context.offsets.finish(item.raw)
        else:
            self._decide(item, item.message)
            if _settles(item) and item.entity not in self._asking:
                self._process_parked(item)

    def _process_parked(self, item: WorkItem) -> None:
        """Process the parked messages of an entity now that it is settled, dead letters included."""
        self.retry_queues.redrive(item.entity)
        self._drain(item.entity, item.decider, early=True)

    def _drain(self, entity: Entity, decider: Decider[Any], early: bool = False) -> None:
        """Decide a parked key's messages, oldest first, until one waits. ``early``: even if the first is not due."""
        while queue := self.retry_queues.queue(entity):
            head = queue[0]
            if head.state is State.DEAD or (head.due > self._context.clock() and not early):
                return
            early = False
            self.tasks.add(head.raw.partition)
            try:
                envelope = decode(self._context, head.raw)
                check_input(decider, envelope.message)
            except (Poison, TypeError) as error:
                self._park(head.entity, head.raw, error)
                return
            item = WorkItem.of(decider, head.raw, envelope, parked=True)
            self._decide(item, item.message)
            if entity in self._asking or self.retry_queues.is_first(head):
                return

    def _decide(self, item: WorkItem, message: Message | Outcome | Unread) -> None:
        """Decide one message, or the outcome of the call that it led to."""
        try:
            if isinstance(message, Unread):
                raise message.error
            repeated = isinstance(message, Message) and self._was_answered(item)
            outputs = () if repeated else item.decider.decide(message, self._state(item).state)
            if outputs and isinstance(outputs[0], Request):
                self._ask(item, outputs)
                return
            if outputs:
                self._emit(item, outputs)
        except ProcessMustEnd:
            raise
        except Exception as error:
            if isinstance(item.message, DeadlinePassed):
                log.exception("the deadline of %s could not be decided", item.entity)
                return
            if isinstance(error, Mismatch):
                self._set_aside(item, error)
            else:
                # A rule that fails on a message must not stop the partition: the message goes where a person sees it,
                # and what comes for its key waits behind it.
                self._park(item.entity, item.raw, error, called=isinstance(message, Outcome))
        else:
            self._resolve(item, message, outputs)
        self.decided += 1
        self._context.offsets.finish(item.raw)

    def _was_answered(self, item: WorkItem) -> bool:
        """Whether the message is the command of a request that an event of its key answers already."""
        request = RequestId.parse(item.message_id)
        return request is not None and self._state(item).answer_to(request.request) is not None

    def _resolve(self, item: WorkItem, message: Message | Outcome | Unread, outputs: Sequence[Any]) -> None:
        if item.parked:
            head = self.retry_queues.queue(item.entity)[0]
            events = tuple(output.name for output in outputs if output.topic == item.decider.log)
            self.retry_queues.resolve(head, events, called=isinstance(message, Outcome))

    def _ask(self, item: WorkItem, outputs: Sequence[Any]) -> None:
        check_outputs(item.decider, item.key, outputs)
        self.requests.append((item, outputs[0]))
        self._asking.add(item.entity)
        self._context.queues.setdefault(item.entity, KeyQueue(item.raw.partition))

    def _call_failed(self, item: WorkItem, request: Request, error: Exception) -> None:
        """A call failed. It is tried again if the error may pass and tries are left; else it is a dead letter."""
        breaker, reactor = self._context.breaker, item.decider
        assert isinstance(reactor, Reactor)
        passing, settled = isinstance(error, Retryable | TimeoutError), False
        if passing:
            breaker.failure(item.entity, self._context.clock())
            try:
                settled = self._record_failure(reactor, item, request, error)
            except ProcessMustEnd:
                raise
            except Exception as wrong_rule:  # as where decide fails
                error, passing = wrong_rule, False
        else:
            breaker.success(item.entity)
        # ``on_retries_exhausted`` may leave a question open, such as a charge in doubt. So this try does not count:
        # the message gets one more, which makes no new charge.
        counted = not (breaker.is_open or settled)
        self._park(item.entity, item.raw, error, passing=passing, counted=counted, called=True)
        self._context.offsets.finish(item.raw)

    def _record_failure(
        self, reactor: Reactor[Any], item: WorkItem, request: Request, error: Exception
    ) -> bool:
        """Write what the reactor records of a failed call; returns whether that settles the request."""
        self._record(item, reactor.on_call_failed(request, self._state(item).state, error))
        if self._context.breaker.is_open or not reactor.on_retries_exhausted or not self._is_last_try(item):
            return False
        reason = f"{type(error).__name__}: {error}"
        return self._record(item, reactor.on_retries_exhausted(request, self._state(item).state, reason))

    def _is_last_try(self, item: WorkItem) -> bool:
        queue = self.retry_queues.queue(item.entity)
        tried = queue[0].attempt if item.parked and queue else 0
        return tried + 1 >= self._context.policy.attempts

    def _record(self, item: WorkItem, events: Sequence[Message]) -> bool:
        if events:
            self._emit(item, events)
        return bool(events)

    def _state(self, item: WorkItem) -> Folded[Any]:
        if item.entity not in self._states:
            self._states[item.entity] = self._context.state.load(item.decider, item.key)
        return self._states[item.entity]

    def _emit(self, item: WorkItem, outputs: Sequence[Any]) -> None:
        """Write and fold all outputs of one input, or none of them."""
        records, folded = produced(self._context, item, self._state(item), outputs)
        self.outgoing.extend(records)
        self.tasks.add(item.raw.partition)
        self._states[item.entity] = folded
        self.folds[item.entity] = (item.raw.partition, folded)

    def _park(
        self,
        entity: Entity,
        raw: Raw,
        error: Exception,
        *,
        passing: bool = False,
        counted: bool = True,
        called: bool = False,
    ) -> None:
        self.tasks.add(raw.partition)
        self.retry_queues.fail(entity, raw, error, passing=passing, counted=counted, called=called)

    def _reject(self, raw: Raw, error: Exception) -> None:
        """A record that belongs to no key becomes a dead letter at once, but only once. Nothing waits for it."""
        if not self.retry_queues.knows(raw):
            self._write_dead_letter(self.retry_queues.reject(raw, error))

    def _set_aside(self, item: WorkItem, error: Mismatch) -> None:
        """A dead letter that parks nothing. If the message was parked, what waits behind it goes on."""
        if not item.parked:
            self._reject(item.raw, error)
            return
        head = self.retry_queues.queue(item.entity)[0]
        self.retry_queues.discard(head)
        self._write_dead_letter(replace(head, attempt=head.attempt + 1).because(error))

    def _write_dead_letter(self, parked: Parked) -> None:
        self.dead += 1
        self.tasks.add(parked.raw.partition)
        self.outgoing.append(dead_letter(self._context, parked))


def _settles(item: WorkItem) -> bool:
    """Whether the message settles its entity. Such a message is decided at once, even if the key is parked."""
    return isinstance(item.message, (DeadlinePassed, *item.decider.settling))
