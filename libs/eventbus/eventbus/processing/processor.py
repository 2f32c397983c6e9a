"""The processor: the one loop in which input becomes events, exactly once.

    1. poll a batch, of all tasks led
    2. decode; what cannot be decoded becomes a dead letter as the bytes it was
    3. load the state of the keys in the batch
    4. decide; collect what goes out; fold own events into the new state, in memory; decide what is sent to an input
       led here too, if it is next there
    5. begin a transaction, produce, send the offsets with the group's metadata taken at the poll, commit
    6. only now write state and checkpoint to SQLite, in one local transaction

If 5 fails, 4 is forgotten and the input read again. If the process dies between 5 and 6, or cannot tell how 5 ended,
the store is behind the log, and catches up from it before it goes on: the store follows the log, never vice versa.
Sources: KIP-98, KIP-447 (exactly once across groups), KIP-848 (the group protocol).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from eventbus import metrics
from eventbus.kafka.guard import Stuck
from eventbus.kafka.transactions import Aborted
from eventbus.model.errors import Fenced
from eventbus.model.messages import Envelope
from eventbus.model.places import Partition
from eventbus.processing.assembly import Parts
from eventbus.processing.follower import Stop
from eventbus.processing.outgoing import Written, own_records
from eventbus.processing.ports import Step
from eventbus.processing.turn import Turn

log = logging.getLogger("eventbus.processor")
CALLS_END = 5.0
"""Seconds that calls under way have to end when the processor stops."""
COMMIT_EVERY = 1.0
"""Seconds after which the offsets of input without outputs are committed."""


class Processor:
    """One replica's loop. Construct and :meth:`run` it on one thread; only :meth:`stop` may come from another."""

    def __init__(self, parts: Parts) -> None:
        self.service, self._context, self._follower = parts.service, parts.context, parts.follower
        self.tasks, self.health, self.breaker = parts.tasks, parts.health, parts.context.breaker
        self._intake, self._writer, self._starting = parts.intake, parts.writer, parts.starting
        self._aside = parts.aside
        self._chain, self._pace = parts.chain, parts.pace
        self._due, self._due_work, self._lag = parts.due, parts.due_work, parts.lag
        self._offsets, self._queues = parts.context.offsets, parts.context.queues
        self._store, self._calls = parts.ports.store, parts.ports.calls
        self._publish, self._after_step = parts.ports.publish, parts.ports.after_step
        self._monotonic = parts.ports.monotonic
        self._commit_time = metrics.COMMIT.labels(self.service)
        self._decided, self._dead = metrics.DECIDED.labels(self.service), metrics.DEAD.labels(self.service)
        self._gauges = (
            (metrics.LEADING.labels(self.service), lambda: len(self.tasks.led)),
            (metrics.IN_FLIGHT.labels(self.service), self._calls.in_flight),
            (metrics.HEARD.labels(self.service), self.health.silent_for),
            (metrics.BREAKER.labels(self.service), lambda: self.breaker.is_open),
        )
        self._positions: dict[Partition, int] = {}
        self._stop = threading.Event()
        self.turned_at = self._monotonic()

    def run(self) -> None:
        """Work until stopped; leaves the group at once, with nothing half done."""
        try:
            self.begin()
            while not self._stop.wait(0 if self._intake.is_full else self._pace.rest()):
                self.turn()
            self._finish_calls()
        except BaseException:
            self._offsets.forget_concluded()
            raise
        finally:
            self._intake.close()
            self._follower.close()

    def begin(self) -> None:
        """Take over the slot's transactions, follow the own logs, enter the group."""
        self._writer.take_over()
        self.tasks.join(self)

    def stop(self) -> None:
        """Finish the turn under way and return from :meth:`run`. Safe from any thread."""
        self._stop.set()

    @property
    def ready(self) -> bool:
        """Caught up with its own logs, and a member of its group; no record of them stops a task."""
        return self.tasks.ready and not self._follower.stopped

    def stops(self) -> dict[Partition, Stop]:
        """The partitions of own logs that a record stops. Any thread."""
        return self._follower.stopped.copy()

    def positions(self) -> dict[Partition, int]:
        """The own logs followed, each with the offset up to which it is folded and published. Any thread."""
        return self._positions

    def turn(self) -> None:
        """The six steps, once; then follow, and take over tasks that are ready."""
        taken = self._intake.poll()  # step 1
        self._after_step(Step.POLLED, len(taken))
        turn = Turn(self._context)
        items = turn.decode(self._intake.raws(taken))  # step 2
        self._after_step(Step.DECODED, len(items))
        turn.load(items)  # step 3
        self._after_step(Step.LOADED, len(items))
        for item, request, outcome in self._calls.collect():
            turn.resume(item, request, outcome)
        turn.decide(items)  # step 4
        self._due_work.decide(turn, self.tasks.led)
        turn.conclude()
        positions = self._intake.positions()
        self._chain.follow(turn, positions)
        self._after_step(Step.DECIDED, len(turn.outgoing))
        self._conclude(turn, positions)  # steps 5 and 6
        if events := self._follower.turn():
            self._publish(events, {})
        self.tasks.advance()
        self._aside.turn()
        self._positions = self._follower.positions()
        for gauge, value in self._gauges:
            gauge.set(value())
        self.turned_at = self._monotonic()

    def _conclude(self, turn: Turn, positions: Mapping[Partition, int]) -> None:
        """Steps 5 and 6. The offsets of input without outputs wait for the next commit, a second at most.

        The transaction holds the offsets of every task that it writes for, moved or not. They carry the group's
        metadata, so a replica that no longer leads the task cannot commit.
        """
        decided = self._offsets.decided(positions)
        moved = self._offsets.moved(decided)
        if turn.outgoing or (moved and self._monotonic() - self._writer.committed_at > COMMIT_EVERY):
            began = self._monotonic()
            try:
                with self._commit_time.time():
                    self._write(turn)  # step 5
                    offsets = self._offsets.moved(decided) | self._standing(turn.tasks, decided)
                    written = self._commit(offsets, len(turn.outgoing))
            except Aborted as reason:
                self._rewind(str(reason))
                return
            except Stuck as reason:
                self._start_over(str(reason))
                return
            self._after_step(Step.COMMITTED, len(turn.outgoing))
            self._chain.committed(written)
            self._pace.took(self._monotonic() - began, turn.decided)
            events = self._fold(turn, written)  # step 6
            self._after_step(Step.STORED, len(turn.outgoing))
            self._publish(events, decided)
            self._report(turn)
        elif moved:
            self._publish([], decided)
        self._lag.decided = self._offsets.conclude(decided)
        for item, request in turn.requests:
            self._calls.start(item, request)

    def _write(self, turn: Turn) -> None:
        """Begin step 5: produce what the turn decided. Raises Aborted."""
        self._writer.begin()
        for record in turn.outgoing:
            self._writer.produce(record)
        self._after_step(Step.PRODUCED, len(turn.outgoing))

    def _commit(self, offsets: dict[Partition, int], outputs: int = 0) -> Written:
        """End step 5. Returns what was written, with its offsets. Raises Aborted, or Stuck: nobody knows how it
        ended."""
        self._writer.send_offsets(offsets, self._intake.metadata)
        self._after_step(Step.OFFSETS_SENT, outputs)
        written = self._writer.commit()
        self._offsets.committed(offsets)
        return written

    def _fold(self, turn: Turn, written: Written) -> list[Envelope]:
        """Step 6: write to the store what the logs hold now, in one local transaction."""
        events, parked, checkpoints = own_records(written)
        if checkpoints:
            self._store.write(turn.folds, events, checkpoints, parked)
        for entity in sorted({message.entity for _, message in parked}):
            self._due.note(entity, turn.retry_queues.queue(entity))
        return events

    def _standing(self, tasks: set[int], decided: dict[Partition, int]) -> dict[Partition, int]:
        """The decided offsets of the inputs of these tasks."""
        if not_led := tasks - self.tasks.led:
            raise Fenced(f"something was decided for tasks that are not led here: {sorted(not_led)}")
        return self._offsets.standing(tasks, decided)

    def _rewind(self, reason: str) -> None:
        """Step 5 failed: forget what was decided and read again from what is committed."""
        log.warning("transaction aborted, its input is read again: %s", reason)
        metrics.ABORTED.labels(self.service).inc()
        self._writer.restart()
        for record in self._writer.refused():
            self._context.blame(record.cause, record.topic)
        self._offsets.rewind()
        self._queues.drop()
        self._calls.forget()
        self._due.rebuild(self.tasks.led)
        self._due.forget_answered()
        self._intake.seek(self.tasks.led)

    def _start_over(self, reason: str) -> None:
        """It is not known how step 5 ended. The new producer ends the transaction; the logs show how."""
        log.warning("how a transaction ended is not known, its tasks are taken over anew: %s", reason)
        metrics.ABORTED.labels(self.service).inc()
        self._chain.forget()
        self._writer.restart()
        self.tasks.lead_again()
        self._due.forget_answered()

    def tasks_found(self, committed: dict[Partition, int]) -> bool:
        """Tasks are about to be led: their inputs go on from there, or begin where the service begins.

        A beginning is committed at once. Otherwise ``now`` would be later for the next replica.
        """
        self._chain.forget()
        if begun := self._starting.of(committed):
            try:
                self._writer.begin()
                self._commit(begun)
            except (Aborted, Stuck) as reason:
                log.warning("a starting position is not committed, it is looked for again: %s", reason)
                self._writer.restart()
                return False
            log.info("a new consumer group begins at %s", ", ".join(f"{p}: {o}" for p, o in begun.items()))
        for partition, upto in (committed | begun).items():
            self._offsets.lead(partition, upto)
        return True

    def task_led(self, task: int) -> None:
        """The task is led from now on, from its committed offsets. Everything up to there is folded here."""
        self._intake.seek({task})
        self._due.rebuild(self.tasks.led)
        self._publish([], self._offsets.of_task(task))

    def tasks_yielded(self, tasks: set[int]) -> None:
        """These tasks go to another replica: hand them over with all that is finished committed.

        This runs inside a poll, so what counts is where the last turn ended, not the consumer's position.
        """
        moved = self._offsets.to_hand_over(tasks)
        if not moved:
            return
        try:
            self._writer.begin()
            self._commit(moved)
        except (Aborted, Stuck) as reason:
            log.warning("offsets of yielded tasks not committed, they will be read again: %s", reason)
            self._writer.restart()

    def tasks_ended(self, tasks: set[int]) -> None:
        """These tasks are not led any more: forget what is under way for them."""
        self._offsets.leave(tasks)
        self._queues.drop(tasks)
        self._calls.forget(tasks)
        self._due.rebuild(self.tasks.led)

    def _finish_calls(self) -> None:
        """Stopping: take no more input, but give calls under way a moment to end, so that none is repeated."""
        self.tasks.pause(True)
        deadline = time.monotonic() + CALLS_END
        while self._calls.in_flight() and time.monotonic() < deadline:
            time.sleep(0.005)
            turn = Turn(self._context)
            for item, request, outcome in self._calls.collect():
                turn.resume(item, request, outcome)
            turn.conclude()
            self._conclude(turn, self._intake.positions())

    def _report(self, turn: Turn) -> None:
        self._decided.inc(turn.decided)
        self._dead.inc(turn.dead)
        for record in turn.outgoing:
            if mirror := record.unrepresentable:
                metrics.UNREPRESENTABLE.labels(self.service, mirror.event.name, str(mirror.major)).inc()
        if turn.dead:
            log.error("%d messages went to %s.dlq", turn.dead, self.service)
