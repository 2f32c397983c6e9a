"""The lives of orders in memory: what the real deciders make of commands, as the records that Kafka would hold.

One :class:`World` holds all services for the keys of one partition. Everything that comes of such a key has its cause
in the same partition. So worlds know nothing of each other, and each knows the offset of what it writes next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from eventbus import Decider, Message, Outcome, Reactor, Request, Settings, Table
from eventbus.codec import Codec
from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.folding import Folded
from eventbus.model.messages import Envelope
from eventbus.model.places import Entity
from eventbus.model.record import Headers, Raw
from eventbus.processing.context import TurnContext, turn_context
from eventbus.processing.outgoing import Outgoing, produced
from eventbus.processing.work import WorkItem
from services.inventory.reservation import reservation_decider
from services.inventory.stock import Stock, stock_decider
from services.notification.decider import notification_reactor
from services.notification.request import Answered, Notify, Sent
from services.order.decider import order_decider
from services.payment.decider import payment_reactor
from services.payment.gateway import Receipt, Result
from services.payment.idempotent_gateway import IdempotentGateway
from services.payment.simulator.record import Row
from services.payment.simulator.rules import decide_charge
from verification.sim.memory import MemoryStore

DEADLINE = timedelta(minutes=15)
SERVICES = ("order", "payment", "inventory", "notification")
Listeners = dict[type[Message], list[tuple[TurnContext, Decider[Any]]]]
Place = tuple[Raw, Message, str]
"""A record that was written, the message in it, and its id."""


class World:
    """The services of one partition. ``write`` gets each record, in the order of its partition of each topic.

    ``now`` (ms since epoch) is set by the caller; each record is a millisecond later. ``services``: those that there
    are; what another would answer does not come. The ``gateway`` has on record what payment asked of it.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        write: Callable[[Raw], object],
        services: Sequence[str] = SERVICES,
        settings: Settings | None = None,
    ) -> None:
        self.now = 0
        self.ends: dict[str, int] = {}
        """By topic, the offset after the last record."""
        self.gateway = MemoryGateway(self._clock)
        self._settings = settings or Settings()
        self._partition, self._write, self._codec = partition, write, Codec("schemas")
        self._states: dict[Entity, Folded[Any]] = {}
        self._products: dict[Entity, Folded[Any]] = {}
        self._listeners: Listeners = {}
        for name in services:
            self._add(name, partial(partition_of, count=partitions))

    def live(self, *commands: tuple[Message, str]) -> None:
        """A whole life: the commands about one order or product, each with its id, and all that comes of each.

        A command comes when all is done that came of the one before. No other comes later: the states of the order
        are forgotten, and so is what its products remember of it.
        """
        for command, identity in commands:
            queue = deque([self._send(command, identity)])
            while queue:
                place = queue.popleft()
                for context, decider in self._listeners.get(type(place[1]), ()):
                    queue.extend(self._decide(context, decider, place, identity))
        for entity, folded in self._states.items():
            if isinstance(folded.state, Stock):
                self._products[entity] = folded._replace(state=replace(folded.state, holds=Table()))
        self._states.clear()

    def _clock(self) -> int:
        return self.now

    def _add(self, name: str, placing: Callable[[bytes], int]) -> None:
        known: dict[str, tuple[Decider[Any], ...]] = {
            "order": (order_decider(DEADLINE),),
            "payment": (payment_reactor(IdempotentGateway(self.gateway, self._clock).call),),
            "inventory": (reservation_decider(), stock_decider()),
            "notification": (notification_reactor(tell_nobody),),
        }
        deciders = known[name]
        context = turn_context(
            name,
            {decider.log: decider for decider in deciders},
            self._codec,
            self._settings,
            MemoryStore(deciders),
            placing,
            clock=self._clock,
            jitter=lambda: 0.0,
        )
        for decider in deciders:
            for cls in decider.inputs:
                self._listeners.setdefault(cls, []).append((context, decider))

    def _send(self, command: Message, identity: str) -> Place:
        """The record that a client's command makes, as the HTTP interface of its service writes it."""
        topic, now = command.topic, self.now
        message = command.stamp(now)
        service = "order" if topic == "order.commands" else "inventory"
        envelope = Envelope(
            message,
            identity,
            now,
            f"/{service}",
            correlation_id=identity,
            cause=None,
            key_version=None,
            traceparent=None,
            topic=topic,
            partition=self._partition,
            offset=-1,
        )
        value = self._codec.encode(message)
        headers = headers_of(envelope, old_names=self._settings.old_headers)
        raw = self._put(topic, message.key.encode(), value, headers + self._codec.schema_headers(value))
        return raw, message, identity

    def _decide(
        self, context: TurnContext, decider: Decider[Any], place: Place, correlation: str
    ) -> list[Place]:
        """Steps 3 to 6 of the processor, for one input."""
        (raw, message, identity), now = place, self.now
        item = WorkItem(decider, raw, message.key, message, correlation, message_id=identity)
        before = self._state(item.entity, decider)
        outputs: Sequence[Any] = decider.decide(message, before.state)
        if outputs and isinstance(outputs[0], Request):
            assert isinstance(decider, Reactor)
            outputs = decider.decide(answered(decider.call(outputs[0])), before.state)
        if not outputs:
            return []
        records, self._states[item.entity] = produced(context, item, before, outputs)
        written = zip(records, outputs, strict=True)
        return [self._place(record, output.stamp(now)) for record, output in written]

    def _state(self, entity: Entity, decider: Decider[Any]) -> Folded[Any]:
        return self._states.get(entity) or self._products.get(entity) or Folded(decider.initial)

    def _place(self, record: Outgoing, message: Message) -> Place:
        assert record.key is not None and record.value is not None
        assert record.partition == self._partition, f"{message.name} of {message.key} is of another world"
        raw = self._put(record.topic, record.key, record.value, record.headers)
        return raw, message, record.event.id if record.event else _id_of(raw)

    def _put(self, topic: str, key: bytes, value: bytes, headers: Headers) -> Raw:
        offset = self.ends.get(topic, 0)
        self.ends[topic] = offset + 1
        raw = Raw(topic, self._partition, offset, key, value, headers, self.now)
        self.now += 1
        self._write(raw)
        return raw


def _id_of(raw: Raw) -> str:
    identity = raw.header("ce_id")
    assert identity is not None
    return identity


def answered(call: Any) -> Outcome:
    """The outcome of a reactor's call that waits for nothing."""
    coroutine: Coroutine[Any, Any, Outcome] = call
    try:
        coroutine.send(None)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    raise AssertionError("a call in memory waits for nobody")


async def tell_nobody(request: Request) -> Outcome:
    """What a channel with the default one's name answers. Nobody would read what it writes."""
    assert isinstance(request, Notify)
    return Answered(request, (Sent("log"),))


class MemoryGateway:
    """Answers as the payment simulator does, and keeps the rows that the simulator would have on record."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.rows: list[Row] = []
        self._clock = clock

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        decision = decide_charge(payment_method, order_id, 0, success_rate=1.0)
        outcome, reason = decision.result.value, decision.reason
        return self._note(key, "CHARGE", order_id, amount, currency, payment_method, outcome, reason)

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        return self._note(key, "REFUND", order_id, amount, currency, "", "SUCCEEDED", None)

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        raise AssertionError(f"{key} is in time, and never in doubt")

    async def lookup(self, key: str) -> Receipt | None:
        raise AssertionError(f"{key} is never in doubt")

    def _note(
        self,
        key: str,
        kind: str,
        order_id: str,
        amount: int,
        currency: str,
        method: str,
        outcome: str,
        reason: str | None,
    ) -> Receipt:
        identity = f"{'ch' if kind == 'CHARGE' else 're'}_{order_id}"
        row = Row(0, key, kind, order_id, amount, currency, method, outcome, identity, reason, self._clock())
        self.rows.append(row)
        return Receipt(key, Result(outcome), identity, reason or "")
