"""A world of all four services without a broker: real deciders, a queue for each reader, topic and key.

Order holds within a key of a topic, as Kafka has it, and nowhere else. A message whose call fails is parked, as
eventbus does it: later ones of its key queue behind, settling ones overtake. The caller says who may read next, what
comes twice, what fails, and when a process dies before it commits.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from eventbus import DeadlinePassed, Decider, Message, Reactor, Request, Retryable
from services.inventory.reservation import reservation_decider
from services.inventory.stock import stock_decider
from services.notification.channel import Messenger, Notice
from services.notification.decider import notification_reactor
from services.order.decider import order_decider
from services.payment.decider import payment_reactor
from services.payment.gateway import Receipt, Result
from services.payment.idempotent_gateway import IdempotentGateway

PARKED = "parked"


@dataclass
class GatewayOnRecord:
    """A payment gateway in memory: what became of each key. ``taken`` is the money it has, by order."""

    records: dict[str, Receipt] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        if key in self.records:
            return replace(self.records[key], replayed=True)
        declined = payment_method == "tok_declined"
        if payment_method == "tok_flaky" and key.endswith((":1", ":2")):
            return self._record(key, Receipt(key, Result.FAILED, reason="try again"))
        if not declined:
            self.taken[order_id] += amount
        result = Result.DECLINED if declined else Result.SUCCEEDED
        receipt = self._record(
            key, Receipt(key, result, id=f"ch-{key}", reason="declined" if declined else "")
        )
        if payment_method == "tok_timeout":
            raise Retryable("the answer was lost")
        return receipt

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        if key in self.records:
            return replace(self.records[key], replayed=True)
        self.taken[order_id] -= amount
        return self._record(key, Receipt(key, Result.SUCCEEDED, id=f"re-{key}"))

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        if key in self.records:
            return replace(self.records[key], replayed=True)
        return self._record(key, Receipt(key, Result.VOIDED))

    async def lookup(self, key: str) -> Receipt | None:
        return replace(self.records[key], replayed=True) if key in self.records else None

    def _record(self, key: str, receipt: Receipt) -> Receipt:
        self.records[key] = receipt
        return receipt


class Mailbox:
    """A channel that keeps what it was given."""

    name = "mailbox"
    needs_contact = False

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        self.notices.append(notice)


class Reader:
    """One decider at work: its states, what waits for it in each key of each topic, and what is parked."""

    def __init__(self, start: Callable[[], Decider[Any]]) -> None:
        self._start = start
        self.decider = start()
        self.types = frozenset(self.decider.inputs)
        self.states: dict[str, Any] = {}
        self.waiting: dict[tuple[str, str], list[Message]] = defaultdict(list)
        self.parked: dict[str, list[Message]] = defaultdict(list)
        self.done: list[Message] = []

    def restart(self) -> None:
        """A new process: what only the memory of the old one knew is gone."""
        self.decider = self._start()

    def state(self, key: str) -> Any:
        return self.states.get(key, self.decider.initial)

    def offer(self, message: Message) -> None:
        if type(message) in self.types:
            self.waiting[message.topic, message.key].append(message)

    def unread(self) -> list[tuple[str, str]]:
        return [place for place, messages in self.waiting.items() if messages]

    def pending(self) -> list[tuple[str, str]]:
        """Where there is something to do: a key of a topic, or a parked key that may be tried again."""
        return self.unread() + [(PARKED, key) for key, messages in self.parked.items() if messages]


class World:
    """All services, and every message that was ever sent."""

    def __init__(self, wave: int = 2) -> None:
        self.wave = wave
        self.gateway = GatewayOnRecord()
        self.mailbox = Mailbox()
        self.readers = [
            Reader(lambda: order_decider(timedelta(minutes=15))),
            Reader(lambda: payment_reactor(IdempotentGateway(self.gateway, clock=lambda: 0).call)),
            Reader(lambda: reservation_decider(self.wave)),
            Reader(stock_decider),
            Reader(lambda: notification_reactor(Messenger(self.mailbox).call)),
        ]
        self.log: list[Message] = []

    def send(self, message: Message) -> None:
        stamped = message.stamp(1_000 + len(self.log))
        self.log.append(stamped)
        for reader in self.readers:
            reader.offer(stamped)

    def read_next(self, dice: random.Random, pace: Sequence[int], *, dies: bool = False) -> bool:
        """One reader takes the next message of one key of one topic, or tries a parked key again; False if there is
        nothing to do anywhere.

        ``pace`` weighs the readers. One that ``dies`` has done everything but commit: it begins again later, in a
        new process.
        """
        busy = [
            (reader, weight) for reader, weight in zip(self.readers, pace, strict=True) if reader.pending()
        ]
        if not busy:
            return False
        (reader,) = dice.choices([r for r, _ in busy], [w for _, w in busy])
        topic, key = dice.choice(reader.pending())
        if dies:
            messages = reader.parked[key] if topic == PARKED else reader.waiting[topic, key]
            self._decide(reader, messages[0])
            reader.restart()
        elif topic == PARKED:
            self._drain(reader, key)
        else:
            message = reader.waiting[topic, key].pop(0)
            reader.done.append(message)
            self._take(reader, message)
        return True

    def park(self, dice: random.Random) -> None:
        """A message fails before it is decided, as on a bug that is mended later: it waits, others queue behind."""
        ahead = [(reader, place) for reader in self.readers for place in reader.unread()]
        if ahead:
            reader, place = dice.choice(ahead)
            message = reader.waiting[place].pop(0)
            reader.done.append(message)
            reader.parked[message.key].append(message)

    def read_again(self, dice: random.Random) -> None:
        """A message that was read before comes once more, out of its order."""
        past = [(reader, message) for reader in self.readers for message in reader.done]
        if past:
            self._take(*dice.choice(past))

    def upgrade(self, wave: int) -> None:
        """Inventory goes on with other code, which asks for so many products of an order at a time."""
        self.wave = wave
        self.readers[2].restart()

    def expire(self, order_id: str) -> None:
        """The order's deadline passes: it is decided at once, whatever waits for it."""
        orders = self.readers[0]
        events, _ = self._decide(orders, DeadlinePassed(order_id, 0))
        self._commit(orders, order_id, events)
        self._drain(orders, order_id)

    def _take(self, reader: Reader, message: Message) -> None:
        """Decide a message, unless others of its key wait and it does not overtake them."""
        settles = isinstance(message, reader.decider.settling)
        if reader.parked[message.key] and not settles:
            reader.parked[message.key].append(message)
            return
        if not self._decided(reader, message):
            reader.parked[message.key].append(message)
        if settles:
            self._drain(reader, message.key)

    def _drain(self, reader: Reader, key: str) -> None:
        while reader.parked[key] and self._decided(reader, reader.parked[key][0]):
            reader.parked[key].pop(0)

    def _decided(self, reader: Reader, message: Message) -> bool:
        outputs, answered = self._decide(reader, message)
        self._commit(reader, message.key, outputs)
        return answered

    def _decide(self, reader: Reader, message: Message | DeadlinePassed) -> tuple[list[Message], bool]:
        """What a message leads to; and False if the outside gave no answer, so that it is to be tried again."""
        decider, answered = reader.decider, True
        state = reader.state(message.key)
        outputs = list(decider.decide(message, state))
        if outputs and isinstance(outputs[0], Request):
            assert len(outputs) == 1 and isinstance(decider, Reactor)
            try:
                outcome = loop().run_until_complete(decider.call(outputs[0]))
                outputs = list(decider.decide(outcome, state))
            except Retryable:
                outputs, answered = list(decider.on_call_failed(outputs[0], state)), False
        messages = [o for o in outputs if isinstance(o, Message)]
        assert len(messages) == len(outputs)
        assert not messages or any(m.topic == decider.log for m in messages), message
        return messages, answered

    def _commit(self, reader: Reader, key: str, outputs: list[Message]) -> None:
        for output in outputs:
            if output.topic == reader.decider.log:
                assert output.key == key, f"{output} was caused by a message of {key}"
                output = output.stamp(1_000 + len(self.log))
                reader.states[key] = reader.decider.evolve(reader.state(key), output)
            self.send(output)

    def events(self, key: str, *types: type[Message]) -> list[Any]:
        """What was sent of these types about one order or product, in order."""
        return [m for m in self.log if isinstance(m, types) and m.key == key]


@lru_cache(1)
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()
