"""The outside world: a gateway and a channel behind a network that delays, loses and refuses requests.

A request that was sent arrives, even if its sender dies or gives up: the charge may still happen, later than anyone
expects. Idempotency keys, lookups and voids exist for that reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Generic, TypeVar

from eventbus import Outcome, Poison, Reactor, Request, Retryable
from eventbus.processing.work import WorkItem
from services.notification.channel import Notice
from services.payment.gateway import Receipt, Result
from verification.sim.clock import Clock

T = TypeVar("T")
CALL_TIMEOUT = 3_000
"""Ms for which a processor waits for the answer to a request."""


class Reply(Generic[T]):
    """The answer to one request, awaited by one coroutine."""

    def __init__(self) -> None:
        self.resume: Callable[[], None] | None = None
        self._value: T | Exception | None = None
        self._here = False

    def give(self, value: T | Exception) -> None:
        self._value, self._here = value, True
        if self.resume:
            self.resume()

    def __await__(self) -> Generator[Reply[T], None, T]:
        if not self._here:
            yield self
        if isinstance(self._value, Exception):
            raise self._value
        return self._value  # type: ignore[return-value]


@dataclass
class Conditions:
    """Network conditions on the way to the gateway or the channel. Shares from 0 to 1; ``away``: nothing gets
    through."""

    away: bool = False
    refused: float = 0.0
    """Requests that fail at once and reach nobody."""
    lost: float = 0.0
    """Answers that never come, though the request was carried out."""
    late: float = 0.0
    """Requests that arrive only after the caller has given up."""
    poison: float = 0.0
    """Requests that are refused for good."""

    def clear(self) -> None:
        self.away, self.refused, self.lost, self.late, self.poison = False, 0.0, 0.0, 0.0, 0.0


class Network:
    """Carries requests to one side of the outside, and answers back."""

    def __init__(self, clock: Clock, dice: Random, conditions: Conditions) -> None:
        self.clock, self.dice, self.conditions = clock, dice, conditions

    async def ask(self, carry_out: Callable[[], T]) -> T:
        """Send a request; ``carry_out`` is what happens where it arrives."""
        reply, dice, conditions = Reply[T](), self.dice, self.conditions
        if (conditions.away and dice.random() < 0.7) or dice.random() < conditions.refused:
            self.clock.later(dice.randint(1, 20), lambda: reply.give(Retryable("connection refused")))
            return await reply
        silent = conditions.away or dice.random() < conditions.lost
        late = dice.random() < conditions.late
        way = CALL_TIMEOUT + dice.randint(0, 6_000) if late else dice.randint(1, 40)

        def arrive() -> None:
            answer: T | Exception
            try:
                answer = carry_out()
            except (Retryable, Poison) as refused:
                answer = refused
            if not silent:
                self.clock.later(dice.randint(1, 40), lambda: reply.give(answer))
            elif dice.random() < 0.5:
                self.clock.later(dice.randint(1, 400), lambda: reply.give(Retryable("connection reset")))

        if not conditions.away:
            self.clock.later(way, arrive)
        return await reply


@dataclass
class Attempt:
    """One row of the gateway's record; its fields are those that the audit reads."""

    seq: int
    key: str
    orderId: str
    kind: str
    amount: int
    currency: str
    id: str
    outcome: str
    at: int


@dataclass
class Gateway:
    """Moves money, idempotent by key. ``trying``: how often a flaky or unavailable method was tried, by order."""

    network: Network
    say: Callable[..., None]
    record: list[Attempt] = field(default_factory=list)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    healed: bool = False

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        sent = self.network.clock.now

        def carry_out() -> Receipt:
            return self._charge(key, order_id, amount, currency, payment_method, sent)

        return await self.network.ask(carry_out)

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        sent = self.network.clock.now

        def carry_out() -> Receipt:
            if key in self.receipts:
                return replace(self.receipts[key], replayed=True)
            return self._note(key, order_id, "REFUND", amount, currency, Result.SUCCEEDED, sent)

        return await self.network.ask(carry_out)

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        sent = self.network.clock.now

        def carry_out() -> Receipt:
            if key in self.receipts:
                return replace(self.receipts[key], replayed=True)
            return self._note(key, order_id, "CHARGE", amount, currency, Result.VOIDED, sent)

        return await self.network.ask(carry_out)

    async def lookup(self, key: str) -> Receipt | None:
        def carry_out() -> Receipt | None:
            return replace(self.receipts[key], replayed=True) if key in self.receipts else None

        return await self.network.ask(carry_out)

    def _charge(self, key: str, order_id: str, amount: int, currency: str, method: str, sent: int) -> Receipt:
        if key in self.receipts:
            return replace(self.receipts[key], replayed=True)
        if method == "tok_unavailable" and not self.healed:
            raise Retryable("the acquirer is away")
        result = Result.SUCCEEDED
        if method == "tok_declined":
            result = Result.DECLINED
        elif method == "tok_flaky" and key.endswith((":1", ":2")):
            result = Result.FAILED
        return self._note(key, order_id, "CHARGE", amount, currency, result, sent)

    def _note(
        self, key: str, order_id: str, kind: str, amount: int, currency: str, result: Result, sent: int
    ) -> Receipt:
        number = len(self.record) + 1
        self.record.append(
            Attempt(number, key, order_id, kind, amount, currency, f"id-{key}", result.value, sent)
        )
        self.say("gateway", key, amount, result.value)
        receipt = self.receipts[key] = Receipt(key, result, id=f"id-{key}", reason=result.value.lower())
        return receipt


class NoticeChannel:
    """A channel that keeps what it was given."""

    name = "mailbox"
    needs_contact = False

    def __init__(self, network: Network) -> None:
        self._network = network
        self.notices: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        def carry_out() -> None:
            if self._network.dice.random() < self._network.conditions.poison:
                raise Poison("no such mailbox")
            self.notices.append(notice)

        await self._network.ask(carry_out)


class SimulatedCalls:
    """The calls of one process: started, answered or timed out in virtual time. They end when the process dies."""

    def __init__(self, clock: Clock, answered: Callable[[], None]) -> None:
        self._clock, self._answered = clock, answered
        self._finished: list[tuple[WorkItem, Request, Outcome | Exception]] = []
        self._current: set[WorkItem] = set()
        self.dead = False
        """The process died: its calls do not continue."""

    def start(self, work: WorkItem, request: Request) -> None:
        assert isinstance(work.decider, Reactor)
        self._current.add(work)
        call: Coroutine[Any, Any, Outcome] = work.decider.call(request)  # type: ignore[assignment]
        done = False

        def end(outcome: Outcome | Exception) -> None:
            nonlocal done
            done = True
            self._finished.append((work, request, outcome))
            if work in self._current:
                self._answered()

        def go_on() -> None:
            if done or self.dead:
                return
            try:
                reply: Reply[Any] = call.send(None)
            except StopIteration as stop:
                end(stop.value)
            except Exception as error:
                end(error)
            else:
                reply.resume = go_on

        def expire() -> None:
            if not (done or self.dead):
                try:
                    call.throw(asyncio.CancelledError())
                except (asyncio.CancelledError, StopIteration):
                    pass
                end(TimeoutError())

        self._clock.later(CALL_TIMEOUT, expire)
        go_on()

    def collect(self) -> list[tuple[WorkItem, Request, Outcome | Exception]]:
        done = [(w, r, o) for w, r, o in self._finished if w in self._current]
        self._finished.clear()
        self._current -= {work for work, _, _ in done}
        return done

    def forget(self, partitions: set[int] | None = None) -> None:
        self._current = {
            w for w in self._current if partitions is not None and w.raw.partition not in partitions
        }

    def in_flight(self) -> int:
        return len(self._current)

    def wait(self, seconds: float) -> None:
        """Answers come by the clock of the simulation, between turns."""
