"""Checks a simulation that has come to rest: money and stock, the order of decisions, and the state of every
replica."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eventbus import Message, RequestId
from eventbus.kafka.records import partition_of
from eventbus.model.folding import Folded, fold
from eventbus.processing.context import COMMANDS
from eventbus.retry.parked import Parked
from schemas import CreateOrder, NotificationFailed, NotificationSent, NotificationSkipped, OrderCreated
from verification.audit.gateway import GatewayRecord
from verification.audit.judge import judge
from verification.audit.ledger import TOPICS, Ledger
from verification.sim import decision_order, sent_order
from verification.sim.clock import START
from verification.sim.hostile import is_hostile
from verification.sim.outside import CALL_TIMEOUT

if TYPE_CHECKING:
    from verification.sim.simulation import Simulation


def violations_of(simulation: Simulation) -> list[str]:
    """Everything that is wrong; empty if nothing is wrong."""
    return [
        *(f"stuck: {reason}" for reason in simulation.unfinished),
        *(f"published late: {event}" for event in simulation.late),
        *audited(simulation),
        *ended(simulation),
        *charged_in_time(simulation),
        *charged_promptly(simulation),
        *out_of_order(simulation),
        *requested_once(simulation),
        *notified_once(simulation),
        *agreed(simulation),
    ]


def audited(simulation: Simulation) -> Iterator[str]:
    """The three lines of the architecture, by the audit's own rules; here a dead letter is no excuse."""
    ledger = Ledger(simulation.codec, lambda key: partition_of(key, simulation.partitions))
    gateway = GatewayRecord("")
    for attempt in simulation.gateway.record:
        gateway.add(asdict(attempt))
    frontier = {
        (name, topic, partition): upto
        for name, group in simulation.broker.groups.items()
        for (topic, partition), upto in group.committed.items()
    }
    ledger.advance(frontier)
    for topic in TOPICS:
        for partition in range(simulation.partitions):
            for record in simulation.broker.log(topic, partition).visible():
                # The audit would report a forged record in a log or a retry topic, and an operator would skip it.
                if topic.endswith((COMMANDS, ".dlq")) or not is_hostile(record):
                    ledger.take(record.raw())
    verdict = judge(ledger, gateway, gateway.last, simulation.clock.now)
    for v in verdict.violations:
        yield f"{v.rule}: {v.subject}: expected {v.expected}, found {v.found} ({v.where})"
    for order, letters in verdict.dead.items():
        yield f"lacking, with dead letters {letters}: {order}"
    for waiting in verdict.open:
        yield f"open: {waiting.order} is {waiting.status}, {waiting.waits_for}"


def ended(simulation: Simulation) -> Iterator[str]:
    """Every order that was asked for has ended."""
    wanted = {command.order_id for _, command in simulation.plan.commands if isinstance(command, CreateOrder)}
    orders = rebuilt(simulation, "order").states
    for order in sorted(wanted):
        found = orders.get(("order.events", order))
        if found is None or not found[1].state.settled:
            yield f"not ended: {order} is {found[1].state.status if found else 'unknown'}"


def charged_in_time(simulation: Simulation) -> Iterator[str]:
    """No request for a charge is made once the deadline has passed, by as much as a call and a clock may differ."""
    deadlines = {
        e.order_id: e.deadline_at for e in events(simulation, "order.events") if isinstance(e, OrderCreated)
    }
    for attempt in simulation.gateway.record:
        deadline = deadlines.get(attempt.orderId)
        moved = attempt.kind == "CHARGE" and attempt.outcome == "SUCCEEDED"
        if moved and deadline is not None and attempt.at > deadline + CALL_TIMEOUT + simulation.largest_skew:
            yield f"charged late: {attempt.key}, {attempt.at - deadline} ms after the deadline"


def charged_promptly(simulation: Simulation) -> Iterator[str]:
    """Orders that cannot be paid do not delay the others."""
    made = {a.orderId: a.at - START for a in simulation.gateway.record if a.outcome == "SUCCEEDED"}
    for order, by in simulation.plan.prompt:
        if (at := made.get(order)) is None or at > by:
            yield f"held up: {order} was to be charged by {by} ms, and was at {at}"


def out_of_order(simulation: Simulation) -> Iterator[str]:
    """What was decided twice, or before something that had to be decided before it."""
    journals = (decision_order.Journal(simulation), sent_order.Journal(simulation))
    for transaction in simulation.broker.committed:
        for journal in journals:
            yield from journal.take(transaction)


def requested_once(simulation: Simulation) -> Iterator[str]:
    """A request that was sent more than once has led to the events of one command."""
    answers: dict[str, set[str | None]] = {}
    for partition in range(simulation.partitions):
        for record in simulation.broker.log("order.events", partition).visible():
            if not is_hostile(record):
                envelope = simulation.codec.decode(record.raw())
                if RequestId.parse(envelope.causation_id):
                    answers.setdefault(str(envelope.causation_id), set()).add(envelope.cause)
    yield from (
        f"decided again: {request}, by {causes}" for request, causes in answers.items() if len(causes) > 1
    )


def notified_once(simulation: Simulation) -> Iterator[str]:
    """Notification answers each kind of event of an order once, and has delivered what it says it sent."""
    answers = [
        e
        for e in events(simulation, "notification.events")
        if isinstance(e, NotificationSent | NotificationSkipped | NotificationFailed)
    ]
    names = [e.message_id for e in answers]
    yield from (f"notified twice: {name}" for name in sorted({n for n in names if names.count(n) > 1}))
    delivered = {notice.message_id for notice in simulation.channel.notices}
    for event in answers:
        if isinstance(event, NotificationSent) and event.message_id not in delivered:
            yield f"never delivered: {event.message_id}"


def agreed(simulation: Simulation) -> Iterator[str]:
    """The state of every replica, leader or follower, is exactly the fold of the logs."""
    for name in simulation.services:
        truth = rebuilt(simulation, name)
        for replica in (r for r in simulation.replicas if r.service.name == name and not r.retired):
            yield from _differences(replica.name, "state", truth.states, replica.store.states)
            parked = {c: p for c, p in replica.store.parked.messages.items() if p.state.open}
            yield from _differences(replica.name, "parked", truth.parked, parked)


def _differences(name: str, what: str, truth: Mapping[Any, Any], known: Mapping[Any, Any]) -> Iterator[str]:
    for key in sorted(truth.keys() | known.keys()):
        if truth.get(key) != known.get(key):
            yield f"{name} has another {what} of {key}: {known.get(key)}, the logs give {truth.get(key)}"


class FoldedLogs:
    """The result of folding the logs of a service from their beginning."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], tuple[int, Folded[Any]]] = {}
        self.parked: dict[str, Parked] = {}


def rebuilt(simulation: Simulation, name: str) -> FoldedLogs:
    """Fold the logs of a service, without hostile records."""
    found, service = FoldedLogs(), simulation.services[name]
    deciders = {d.log: d for d in service.start(lambda: simulation.clock.now)}
    for log in service.logs:
        for partition in range(simulation.partitions):
            for record in simulation.broker.log(log, partition).visible():
                if is_hostile(record):
                    continue
                if log in deciders:
                    envelope = simulation.codec.decode(record.raw())
                    entity = (log, envelope.message.key)
                    before = found.states.get(entity, (partition, Folded(deciders[log].initial)))[1]
                    found.states[entity] = (partition, fold(deciders[log], before, envelope))
                else:
                    parked = Parked.from_record(record.raw())
                    found.parked.pop(parked.raw.coordinates, None)
                    if parked.state.open:
                        found.parked[parked.raw.coordinates] = parked
    return found


def events(simulation: Simulation, log: str) -> Iterator[Message]:
    """The messages of a log, partition by partition."""
    for partition in range(simulation.partitions):
        for record in simulation.broker.log(log, partition).visible():
            if not is_hostile(record):
                yield simulation.codec.decode_value(record.value)
