"""Builds a processor from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eventbus.codec import Codec
from eventbus.kafka.health import BrokerHealth, Lag, statistics_callback
from eventbus.kafka.records import partition_of
from eventbus.kafka.transactions import TransactionalWriter
from eventbus.model.decider import Decider
from eventbus.model.mirror import Mirror
from eventbus.model.start import Start
from eventbus.processing.aside import Aside
from eventbus.processing.chain import Chain
from eventbus.processing.context import TurnContext, turn_context
from eventbus.processing.due import DueQueue
from eventbus.processing.due_work import DueWork
from eventbus.processing.follower import Follower
from eventbus.processing.intake import Intake
from eventbus.processing.outgoing import Outgoing
from eventbus.processing.pace import Pace
from eventbus.processing.ports import Ports
from eventbus.processing.starting import Starting
from eventbus.processing.tasks import Tasks
from eventbus.settings import Settings


@dataclass(frozen=True)
class Parts:
    """The parts of one processor. They live on its thread."""

    service: str
    ports: Ports
    context: TurnContext
    tasks: Tasks
    aside: Aside
    intake: Intake
    starting: Starting
    chain: Chain
    pace: Pace
    due: DueQueue
    due_work: DueWork
    writer: TransactionalWriter[Outgoing]
    follower: Follower
    health: BrokerHealth
    lag: Lag


def assemble(
    service: str,
    deciders: Sequence[Decider[Any]],
    settings: Settings,
    codec: Codec,
    partitions: int,
    ports: Ports,
    *,
    transactional_id: str,
    version: str = "",
    watches: Sequence[str] = (),
    mirrors: Sequence[Mirror] = (),
    start: Start = "earliest",
    share: float = 1.0,
    input_wait: float = 0.0,
) -> Parts:
    """The parts of a service's processor. It opens the Kafka clients, but writes and reads nothing.

    ``partitions``: how many each topic of the service has. ``version``: of the service, for dead letters.
    ``watches``: retry topics of other services that are followed too. ``mirrors``: how own events are also written
    in an older version. ``start``: where a new consumer group begins. ``share``: of the time, what transactions take
    at most. ``input_wait``: seconds that input may wait at the brokers for more. Raises ValueError if the share
    is none.
    """
    by_log, clients = {d.log: d for d in deciders}, ports.clients
    placing = partial(partition_of, count=partitions)
    context = turn_context(
        service,
        by_log,
        codec,
        settings,
        ports.store,
        placing,
        clock=ports.clock,
        jitter=ports.jitter,
        version=version,
        mirrors=mirrors,
    )
    health, lag = BrokerHealth(), Lag(settings.topic_prefix)
    consumer = clients.input(settings, service, statistics_callback(health.update, lag.update), input_wait)
    follower = Follower(settings, service, codec, ports.store, clients, placing)
    writer = TransactionalWriter[Outgoing](
        partial(clients.producer, settings, transactional_id),
        clients.guard(follower.hears),
        named=settings.topic,
        timeout=settings.transaction_timeout,
        monotonic=ports.monotonic,
    )
    tasks = Tasks(
        settings,
        [*sorted({cls.topic for d in deciders for cls in d.inputs}), f"{service}.admin"],
        [*by_log, f"{service}.retry"],
        partitions,
        consumer=consumer,
        follower=follower,
        watches=watches,
        monotonic=ports.monotonic,
    )
    due = DueQueue(ports.store)
    return Parts(
        service=service,
        ports=ports,
        context=context,
        tasks=tasks,
        aside=Aside(
            tasks,
            follower,
            lambda but: due.overdue(ports.clock(), set(range(partitions)) - but),
            ports.jitter,
            ports.monotonic,
        ),
        intake=Intake(consumer, tasks, follower, ports.calls, context, settings),
        starting=Starting(start, service, deciders, consumer, follower, settings, partitions),
        chain=Chain(context.offsets, lambda: tasks.led, settings.max_batch),
        pace=Pace(share, ports.monotonic),
        due=due,
        due_work=DueWork(due, by_log, context, ports.calls, settings.max_batch),
        writer=writer,
        follower=follower,
        health=health,
        lag=lag,
    )
