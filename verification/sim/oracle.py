"""Judges a world that has come to rest: money and stock, the order of decisions, and what every replica knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eventbus import Message
from eventbus.kafka.records import partition_of
from eventbus.model.folding import Folded, fold
from eventbus.processing.context import COMMANDS
from eventbus.retry.parked import Parked
from schemas import CreateOrder, NotificationSent, NotificationSkipped, OrderCreated
from verification.audit.gateway import GatewayRecord
from verification.audit.judge import judge
from verification.audit.ledger import TOPICS, Ledger
from verification.sim.clock import START
from verification.sim.hostile import is_hostile
from verification.sim.order import out_of_order
from verification.sim.outside import CALL_TIMEOUT

if TYPE_CHECKING:
    from verification.sim.world import World


def judged(world: World) -> list[str]:
    """Everything that is wrong; empty if nothing is."""
    return [
        *(f"stuck: {reason}" for reason in world.restless),
        *(f"told late: {event}" for event in world.late),
        *audited(world),
        *ended(world),
        *charged_in_time(world),
        *charged_promptly(world),
        *out_of_order(world),
        *told_once(world),
        *agreed(world),
    ]


def audited(world: World) -> Iterator[str]:
    """The three lines of the architecture, by the audit's own rules; a dead letter excuses nothing any more."""
    ledger = Ledger(world.codec, lambda key: partition_of(key, world.partitions))
    gateway = GatewayRecord("")
    for attempt in world.gateway.record:
        gateway.add(asdict(attempt))
    frontier = {
        (name, topic, partition): upto
        for name, group in world.broker.groups.items()
        for (topic, partition), upto in group.committed.items()
    }
    ledger.advance(frontier)
    for topic in TOPICS:
        for partition in range(world.partitions):
            for record in world.broker.log(topic, partition).visible():
                # What was forged in a log or a retry topic the audit would name, and an operator would skip.
                if topic.endswith((COMMANDS, ".dlq")) or not is_hostile(record):
                    ledger.take(record.raw())
    verdict = judge(ledger, gateway, gateway.last, world.clock.now)
    for v in verdict.violations:
        yield f"{v.rule}: {v.subject}: expected {v.expected}, found {v.found} ({v.where})"
    for order, letters in verdict.dead.items():
        yield f"lacking, with dead letters {letters}: {order}"
    for waiting in verdict.open:
        yield f"open: {waiting.order} is {waiting.status}, {waiting.waits_for}"


def ended(world: World) -> Iterator[str]:
    """Every order that was asked for has ended."""
    wanted = {wish.order_id for _, wish in world.story.wishes if isinstance(wish, CreateOrder)}
    orders = rebuilt(world, "order").states
    for order in sorted(wanted):
        found = orders.get(("order.events", order))
        if found is None or not found[1].state.settled:
            yield f"not ended: {order} is {found[1].state.status if found else 'unknown'}"


def charged_in_time(world: World) -> Iterator[str]:
    """No request for a charge is made once the deadline has passed, by as much as a call and a clock may differ."""
    deadlines = {
        e.order_id: e.deadline_at for e in events(world, "order.events") if isinstance(e, OrderCreated)
    }
    for attempt in world.gateway.record:
        deadline = deadlines.get(attempt.orderId)
        moved = attempt.kind == "CHARGE" and attempt.outcome == "SUCCEEDED"
        if moved and deadline is not None and attempt.at > deadline + CALL_TIMEOUT + world.largest_skew:
            yield f"charged late: {attempt.key}, {attempt.at - deadline} ms after the deadline"


def charged_promptly(world: World) -> Iterator[str]:
    """Bad orders hold no good one up."""
    made = {a.orderId: a.at - START for a in world.gateway.record if a.outcome == "SUCCEEDED"}
    for order, by in world.story.prompt:
        if (at := made.get(order)) is None or at > by:
            yield f"held up: {order} was to be charged by {by} ms, and was at {at}"


def told_once(world: World) -> Iterator[str]:
    """Notification answers each kind of event of an order once, and has delivered what it says."""
    told = [
        e
        for e in events(world, "notification.events")
        if isinstance(e, NotificationSent | NotificationSkipped)
    ]
    names = [e.message_id for e in told]
    yield from (f"told twice: {name}" for name in sorted({n for n in names if names.count(n) > 1}))
    delivered = {notice.message_id for notice in world.mailbox.notices}
    for event in told:
        if isinstance(event, NotificationSent) and event.message_id not in delivered:
            yield f"never delivered: {event.message_id}"


def agreed(world: World) -> Iterator[str]:
    """Every replica, leader or follower, knows what the logs say, no more and no less."""
    for name in world.services:
        truth = rebuilt(world, name)
        for replica in (r for r in world.replicas if r.service.name == name and not r.retired):
            yield from _differences(replica.name, "state", truth.states, replica.store.states)
            parked = {c: p for c, p in replica.store.waiting.parked.items() if p.state.open}
            yield from _differences(replica.name, "parked", truth.parked, parked)


def _differences(name: str, what: str, truth: Mapping[Any, Any], known: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted(truth.keys() | known.keys()):
        if truth.get(key) != known.get(key):
            yield f"{name} has another {what} of {key}: {known.get(key)}, the log says {truth.get(key)}"


class Rebuilt:
    """What folding the logs of a service from their beginning gives."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], tuple[int, Folded[Any]]] = {}
        self.parked: dict[str, Parked] = {}


def rebuilt(world: World, name: str) -> Rebuilt:
    """Fold the logs of a service, without what somebody forged there."""
    found, service = Rebuilt(), world.services[name]
    deciders = {d.log: d for d in service.start(lambda: world.clock.now)}
    for log in service.logs:
        for partition in range(world.partitions):
            for record in world.broker.log(log, partition).visible():
                if is_hostile(record):
                    continue
                if log in deciders:
                    envelope = world.codec.decode(record.raw())
                    entity = (log, envelope.message.key)
                    before = found.states.get(entity, (partition, Folded(deciders[log].initial)))[1]
                    found.states[entity] = (partition, fold(deciders[log], before, envelope))
                else:
                    parked = Parked.from_record(record.raw())
                    found.parked.pop(parked.raw.coordinates, None)
                    if parked.state.open:
                        found.parked[parked.raw.coordinates] = parked
    return found


def events(world: World, log: str) -> Iterator[Message]:
    """The messages of a log, partition by partition."""
    for partition in range(world.partitions):
        for record in world.broker.log(log, partition).visible():
            if not is_hostile(record):
                yield world.codec.decode_value(record.value)
