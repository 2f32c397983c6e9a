"""Planted bugs. The simulator must find each of them, or its clean runs prove nothing. ``--mutant NAME``.

Each changes one thing in the real code for as long as its context lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from msgspec import structs

from eventbus.codec import Codec
from eventbus.kafka.transactions import TransactionalWriter, transactionally
from eventbus.model.errors import Poison, UnknownSchema
from eventbus.model.folding import Folded
from eventbus.model.places import Partition
from eventbus.model.record import Headers, Raw
from eventbus.processing.aside import Aside
from eventbus.processing.chain import Chain
from eventbus.processing.fold_batch import FoldBatch
from eventbus.processing.follower import Follower
from eventbus.processing.offsets import OffsetTracker
from eventbus.processing.own_log import Doubtful, Foreign, claim
from eventbus.processing.processor import Processor
from eventbus.processing.turn import Turn
from eventbus.processing.work import KeyQueues, Unread, WorkItem
from eventbus.retry.breaker import Breaker
from eventbus.retry.parked import Parked
from eventbus.retry.queues import RetryQueues
from schemas import ReleaseStock
from services.inventory import reservation, stock
from services.payment.idempotent_gateway import IdempotentGateway
from verification.sim import wiring
from verification.sim.groups import Group
from verification.sim.producer import Producer
from verification.sim.release import LATER_HEADERS


@contextmanager
def release_twice() -> Iterator[None]:
    """A release that comes twice is applied twice."""

    def decide(command: stock.Input, state: stock.Stock) -> Any:
        if isinstance(command, ReleaseStock) and (held := state.holds.get(command.order_id)):
            state = stock.with_hold(state, command.order_id, replace(held, hold=stock.Hold.HELD))
        return stock.decide(command, state)

    sound = stock.stock_decider()
    with patch.object(wiring, "stock_decider", lambda: replace(sound, decide=decide)):
        yield


def refund_lost_on_crash() -> AbstractContextManager[Any]:
    """Offsets are committed while calls of their messages are still under way."""
    return patch.object(OffsetTracker, "_first_unfinished", lambda self, partition: None)


def follower_overtakes() -> AbstractContextManager[Any]:
    """A message is decided although an earlier one of its key is parked."""
    return patch("eventbus.processing.turn._settles", lambda item: True)


def deadline_by_two() -> AbstractContextManager[Any]:
    """What is decided without input carries no offsets, and so no generation: a zombie's deadline commits."""
    return patch.object(Processor, "_standing", lambda self, tasks, decided: {})


def own_messages_overtake() -> AbstractContextManager[Any]:
    """A message of its own is decided as soon as it is sent, whatever stands before it unread."""
    return patch.object(Chain, "_may_be_next", lambda self, place, positions: place.number in self._led())


def own_messages_of_others_overtaken() -> AbstractContextManager[Any]:
    """A replica that gets more tasks does not know that their last leader may have left messages unread."""
    return patch.object(Chain, "forget", lambda self: None)


def own_message_overtakes_parked() -> AbstractContextManager[Any]:
    """A message of its own is decided as soon as it is sent, though one of its key is parked."""
    follow = Turn.follow

    def decide(self: Turn, item: WorkItem) -> bool:
        with patch.object(self.retry_queues, "queue", lambda entity: ()):
            return follow(self, item)

    return patch.object(Turn, "follow", decide)


def own_message_lost() -> AbstractContextManager[Any]:
    """A message of its own that could not be decided at once is not written either."""
    follow = Turn.follow

    def decide(self: Turn, item: WorkItem) -> bool:
        follow(self, item)
        return True

    return patch.object(Turn, "follow", decide)


def unfenced_group() -> AbstractContextManager[Any]:
    """The broker takes offsets from members of an earlier epoch."""
    return patch.object(Group, "check", lambda self, name, epoch: None)


def hasty_takeover() -> AbstractContextManager[Any]:
    """A new leader does not wait until it has folded the own logs to their end."""
    return patch("eventbus.processing.tasks.Tasks._reached", lambda self, targets: True)


def stable_target() -> AbstractContextManager[Any]:
    """A new leader takes the last stable offset for the end of its logs."""

    def end(self: Follower, part: tuple[str, int]) -> int:
        return int(self._probe._broker.log(*part).stable)  # type: ignore[attr-defined]

    return patch.object(Follower, "end", end)


@contextmanager
def rewind_forgets_nothing() -> Iterator[None]:
    """What is under way outside is not forgotten after an abort, nor when a task ends."""
    with (
        patch.object(KeyQueues, "drop", lambda self, tasks=None: None),
        patch.object(OffsetTracker, "_drop_unfinished", lambda self, tasks=None: None),
    ):
        yield


def epoch_kept() -> AbstractContextManager[Any]:
    """After an abort, the same producer goes on."""

    def restart(self: TransactionalWriter[Any]) -> None:
        transactionally(self._producer.abort_transaction)

    return patch.object(TransactionalWriter, "restart", restart)


def unknown_is_aborted() -> AbstractContextManager[Any]:
    """A transaction that ended nobody knows how is taken for one that was aborted."""
    return patch.object(Processor, "_start_over", Processor._rewind)


def one_probe_a_second() -> AbstractContextManager[Any]:
    """With the breaker open, one call a second is made, about whatever key is next."""

    def room(self: Breaker, now: int, under_way: int) -> tuple[int, int]:
        due = now - self._reckoned_at >= 1_000 and not under_way
        if due:
            self._reckoned_at = now
        return int(due), int(due)

    return patch.object(Breaker, "room", room)


def decided_before_published() -> AbstractContextManager[Any]:
    """The word that an input is decided is published before its events."""
    conclude = Processor._conclude

    def hasty(self: Processor, turn: Turn, positions: Mapping[Partition, int]) -> None:
        self._publish([], self._offsets.decided(positions))
        conclude(self, turn, positions)

    return patch.object(Processor, "_conclude", hasty)


def folded_before_published() -> AbstractContextManager[Any]:
    """A follower reports events as folded that it has not published yet."""
    return patch.object(Processor, "positions", lambda self: self._follower.positions())


def queue_forgotten() -> AbstractContextManager[Any]:
    """Parked messages are not found again."""
    return patch.object(RetryQueues, "queue", lambda self, entity: [])


def charge_without_lookup() -> AbstractContextManager[Any]:
    """Every charge has a key of its own."""
    counter = iter(range(1_000_000))
    ask = IdempotentGateway._settle

    async def settle(self: IdempotentGateway, key: str, ask_for: Any) -> Any:
        return await ask(self, f"{key}{next(counter)}" if key.startswith("charge") else key, ask_for)

    return patch.object(IdempotentGateway, "_settle", settle)


def answered_again() -> AbstractContextManager[Any]:
    """A message that is read again after a crash is decided again."""
    return patch.object(Folded, "has_answered", lambda self, topic, offset: False)


def requests_decided_again() -> AbstractContextManager[Any]:
    """A command of a request that was answered is decided again."""
    return patch.object(Turn, "_was_answered", lambda self, item: False)


def keys_decoded() -> AbstractContextManager[Any]:
    """Keys are compared as text, after a decoding that loses what is none."""
    decode = Codec.decode

    def lossy(self: Codec, raw: Raw) -> Any:
        return decode(self, raw._replace(key=(raw.key or b"").decode("utf-8", "replace").encode()))

    return patch.object(Codec, "decode", lossy)


def any_version_folded() -> AbstractContextManager[Any]:
    """A record of an own log is folded whatever its version says."""

    def next_event(raw: Raw, codec: Codec, partition_of: Any, folded: Any) -> Any:
        key, _ = claim(raw, partition_of)
        return structs.replace(codec.decode(raw), key_version=folded(key) + 1)

    return patch("eventbus.processing.fold_batch.next_event", next_event)


def retry_unchecked() -> AbstractContextManager[Any]:
    """Whatever a record of a retry topic says is believed."""
    return patch(
        "eventbus.processing.fold_batch.parked_message",
        lambda raw, partition_of, logs: Parked.from_record(raw),
    )


def unread_events_passed_over() -> AbstractContextManager[Any]:
    """An own event that this code cannot read is passed over, and the task goes on without it."""

    def take(self: FoldBatch, raw: Raw) -> None:
        try:
            sound(self, raw)
        except Doubtful as error:
            raise Foreign(str(error)) from error

    sound = FoldBatch.take
    return patch.object(FoldBatch, "take", take)


def unread_messages_buried() -> AbstractContextManager[Any]:
    """A message of a schema that this code does not know becomes a dead letter that nobody can redrive."""

    def unread(decider: Any, raw: Raw, key: str, error: UnknownSchema) -> WorkItem:
        raise Poison(str(error))

    return patch.object(WorkItem, "unread", unread)


def unread_messages_overtaken() -> AbstractContextManager[Any]:
    """Behind a message of a schema that this code does not know, the next of its key is decided at once."""

    def admit(self: Turn, item: WorkItem) -> None:
        queue = self.retry_queues.queue(item.entity)
        if queue and queue[0].exception == UnknownSchema.__name__ and not self.retry_queues.knows(item.raw):
            self._decide(item, item.message)
        else:
            sound(self, item)

    sound = Turn._admit
    return patch.object(Turn, "_admit", admit)


def unread_messages_answered() -> AbstractContextManager[Any]:
    """A message of a schema that this code does not know counts as decided, without an event."""

    def decide(self: Turn, item: WorkItem, message: Any) -> None:
        if isinstance(message, Unread):
            self._context.offsets.finish(item.raw)
        else:
            sound(self, item, message)

    sound = Turn._decide
    return patch.object(Turn, "_decide", decide)


def stopped_task_led() -> AbstractContextManager[Any]:
    """A replica leads a task that an event of newer code stops here: it decides from what it knows."""
    sound = Follower.positions

    def positions(self: Follower) -> dict[Partition, int]:
        return sound(self) | dict.fromkeys(self.stopped, 10**9)

    return patch.object(Follower, "positions", positions)


def nobody_steps_aside() -> AbstractContextManager[Any]:
    """A replica that cannot lead a task which it is assigned keeps it."""
    return patch.object(Aside, "turn", lambda self: None)


def old_names_unread() -> AbstractContextManager[Any]:
    """Code of today reads only the names of headers that it writes."""
    sound = Raw.extension

    def extension(self: Raw, name: str) -> str | None:
        return sound(self._replace(headers=[h for h in self.headers if h[0] != name]), name)

    return patch.object(Raw, "extension", extension)


def old_names_unwritten() -> AbstractContextManager[Any]:
    """Code of today writes the new names of headers only, while replicas of the release before still read."""

    def produce(self: Producer, topic: str, *, headers: Headers, **more: Any) -> None:
        if not self._connection.hidden:
            headers = [header for header in headers if f"ce_{header[0]}" not in LATER_HEADERS]
        sound(self, topic, headers=headers, **more)

    sound = Producer.produce
    return patch.object(Producer, "produce", produce)


def forgery_believed() -> AbstractContextManager[Any]:
    """Reports are taken for true, whatever they say of money and goods."""
    return patch("services.order.reports.contradiction", lambda report, order: None)


def forged_order_charged() -> AbstractContextManager[Any]:
    """An OrderCreated that contradicts itself is charged."""
    return patch("services.payment.decider.check", lambda order, payment: None)


def wave_ends() -> AbstractContextManager[Any]:
    """An order asks for its first products and for no more."""
    ask = reservation.commands

    def commands(order_id: str, state: reservation.Reservation, already: int, wave: int) -> Any:
        return [] if already else ask(order_id, state, already, wave)

    return patch.object(reservation, "commands", commands)


MUTANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    f.__name__: f
    for f in (
        release_twice,
        refund_lost_on_crash,
        follower_overtakes,
        deadline_by_two,
        own_messages_overtake,
        own_messages_of_others_overtaken,
        own_message_overtakes_parked,
        own_message_lost,
        unfenced_group,
        hasty_takeover,
        stable_target,
        rewind_forgets_nothing,
        epoch_kept,
        unknown_is_aborted,
        one_probe_a_second,
        decided_before_published,
        folded_before_published,
        queue_forgotten,
        charge_without_lookup,
        answered_again,
        requests_decided_again,
        keys_decoded,
        any_version_folded,
        retry_unchecked,
        unread_events_passed_over,
        unread_messages_buried,
        unread_messages_overtaken,
        unread_messages_answered,
        stopped_task_led,
        nobody_steps_aside,
        old_names_unread,
        old_names_unwritten,
        forgery_believed,
        forged_order_charged,
        wave_ends,
    )
}
