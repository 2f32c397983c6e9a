"""The services of the simulator, read one message at a time in any order, without partitions, batches or a clock.

The deciders, the gateway and the channel are the simulator's (:mod:`verification.sim`). Order holds within a key of a
topic, as in Kafka, and nowhere else: the simulator, which has partitions, cannot give every such order. A message
whose call fails is parked, as eventbus does it: later ones of its key queue behind it, settling ones overtake. The
caller chooses who reads next, what comes twice, what fails, and when a process dies before it commits.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from eventbus import DeadlinePassed, Decider, Message, Outcome, Reactor, Request, Retryable
from services.payment.gateway import Receipt
from verification.sim.clock import Clock
from verification.sim.drawing import draw_plan
from verification.sim.outside import Conditions, Gateway, Network, NoticeChannel
from verification.sim.wiring import services

T = TypeVar("T")
PARKED = "parked"
DEADLINE = 15 * 60_000
"""Ms after its creation at which an order expires; here it expires when the caller says so."""


class InstantNetwork(Network):
    """Every request arrives and is answered at once."""

    async def ask(self, carry_out: Callable[[], T]) -> T:
        return carry_out()


class ForgetfulGateway(Gateway):
    """The simulator's gateway, which also loses the first answer about a ``tok_timeout``."""

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        known = key in self.receipts
        receipt = await super().charge(
            key, order_id=order_id, amount=amount, currency=currency, payment_method=payment_method
        )
        if payment_method == "tok_timeout" and not known:
            raise Retryable("the answer was lost")
        return receipt

    def taken(self, order_id: str) -> int:
        """The money that the gateway has of an order, in minor units."""
        moved = [a for a in self.record if a.orderId == order_id and a.outcome == "SUCCEEDED"]
        return sum(a.amount if a.kind == "CHARGE" else -a.amount for a in moved)


class Reader:
    """One decider at work: its states, what it has not read in each key of each topic, and what is parked."""

    def __init__(self, start: Callable[[], Decider[Any]]) -> None:
        self._start = start
        self.decider = start()
        self.types = frozenset(self.decider.inputs)
        self.states: dict[str, Any] = {}
        self.waiting: dict[tuple[str, str], list[Message]] = defaultdict(list)
        self.parked: dict[str, list[Message]] = defaultdict(list)
        self.done: list[Message] = []

    def restart(self) -> None:
        """Start a new process: what only the memory of the old one held is gone."""
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


SHOP = ("order", "payment", "inventory", "notification")


class Interleaving:
    """The four services, and every message ever sent. ``wave``: products that inventory asks for at a time."""

    def __init__(self, wave: int = 2) -> None:
        self.wave = wave
        network = InstantNetwork(Clock(), random.Random(0), Conditions())
        self.gateway, self.channel = ForgetfulGateway(network, lambda *_: None), NoticeChannel(network)
        names = [(name, n) for name in SHOP for n in range(len(self._deciders(name)))]
        self.readers = {
            place: Reader(lambda p=place: self._deciders(p[0])[p[1]])  # type: ignore[misc]
            for place in names
        }
        self.log: list[Message] = []

    def _deciders(self, service: str) -> Sequence[Decider[Any]]:
        plan = replace(draw_plan(0), wave=self.wave, deadline=DEADLINE, gives_up=False)
        return services(plan, self.gateway, self.channel, set())[service].start(lambda: 0)

    def send(self, message: Message) -> None:
        stamped = message.stamp(1_000 + len(self.log))
        self.log.append(stamped)
        for reader in self.readers.values():
            reader.offer(stamped)

    def read_next(self, dice: random.Random, pace: Sequence[int], *, dies: bool = False) -> bool:
        """One reader takes the next message of one key of one topic, or tries a parked key again. Returns False if
        nobody has anything to do.

        ``pace`` weighs the readers. One that ``dies`` has done everything but commit: it begins again later, in a
        new process.
        """
        weighted = zip(self.readers.values(), pace, strict=True)
        busy = [(reader, weight) for reader, weight in weighted if reader.pending()]
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
        """A message fails before it is decided, as with a bug that is fixed later: it waits, others queue behind."""
        ahead = [(reader, place) for reader in self.readers.values() for place in reader.unread()]
        if ahead:
            reader, place = dice.choice(ahead)
            message = reader.waiting[place].pop(0)
            reader.done.append(message)
            reader.parked[message.key].append(message)

    def read_again(self, dice: random.Random) -> None:
        """A message that was read before comes once more, out of its order."""
        past = [(reader, message) for reader in self.readers.values() for message in reader.done]
        if past:
            self._take(*dice.choice(past))

    def upgrade(self, wave: int) -> None:
        """Inventory goes on with newer code, which asks for so many products of an order at a time."""
        self.wave = wave
        self.readers["inventory", 0].restart()

    def expire(self, order_id: str) -> None:
        """The order's deadline passes: it is decided at once, whatever is parked for it."""
        orders = self.readers["order", 0]
        events, _ = self._decide(orders, DeadlinePassed(order_id, 0))
        self._commit(orders, order_id, events)
        self._drain(orders, order_id)

    def _take(self, reader: Reader, message: Message) -> None:
        """Decide a message, unless others of its key are parked and it does not overtake them."""
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
        """What a message leads to; and False if the call got no answer, so that it must be tried again."""
        decider, answered = reader.decider, True
        state = reader.state(message.key)
        outputs = list(decider.decide(message, state))
        if outputs and isinstance(outputs[0], Request):
            assert len(outputs) == 1 and isinstance(decider, Reactor)
            try:
                outcome = _result(decider.call(outputs[0]))
                outputs = list(decider.decide(outcome, state))
            except Retryable as error:
                outputs, answered = list(decider.on_call_failed(outputs[0], state, error)), False
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


def _result(call: Awaitable[Outcome]) -> Outcome:
    """What a call returns or raises. Nothing in it waits: the network answers at once."""
    try:
        next(call.__await__())
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise AssertionError("the call waits for something")
