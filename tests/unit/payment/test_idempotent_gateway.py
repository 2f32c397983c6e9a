"""The idempotent gateway against one that loses answers, fails, and remembers: money never moves twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from eventbus import Poison, Request, Retryable
from schemas import OrderCreated
from services.payment.decider import Charge, Charged, Declined, Refund, Refunded, Withdraw, Withdrawn
from services.payment.gateway import Receipt, Result
from services.payment.idempotent_gateway import IdempotentGateway

ORDER = OrderCreated(order_id="o1", user_id="u1", currency="EUR", total_amount=600)
CHARGE = Charge(ORDER)
REFUND = Refund("o1", 600, "EUR", "ch_1")
C1, C2, C3 = "charge:o1:1", "charge:o1:2", "charge:o1:3"


class LostAnswer(Retryable):
    """The gateway did what it was asked, and the answer was lost."""


class FakeGateway:
    """Remembers receipts by key, as a real one. ``script``: what the next new attempts come to."""

    def __init__(self, *script: Result | type[BaseException]) -> None:
        self.script = list(script)
        self.book: dict[str, Receipt] = {}
        self.asked: list[str] = []
        self.lookup_fails = 0

    async def charge(
        self, key: str, *, order_id: str, amount: int, currency: str, payment_method: str
    ) -> Receipt:
        assert (order_id, amount, currency, payment_method) == ("o1", 600, "EUR", "tok_ok")
        return self.attempt(key, "ch")

    async def refund(
        self, key: str, *, order_id: str, amount: int, currency: str, charge_id: str | None
    ) -> Receipt:
        assert (order_id, amount, currency, charge_id) == ("o1", 600, "EUR", "ch_1")
        return self.attempt(key, "re")

    async def void(self, key: str, *, order_id: str, amount: int, currency: str) -> Receipt:
        assert (order_id, amount, currency) == ("o1", 600, "EUR")
        self.asked.append(f"DELETE {key}")
        if key in self.book:
            return self.replay(key)
        self.book[key] = Receipt(key, Result.VOIDED)
        return self.book[key]

    def attempt(self, key: str, prefix: str) -> Receipt:
        self.asked.append(f"PUT {key}")
        if key in self.book:
            return self.replay(key)
        result = self.script.pop(0) if self.script else Result.SUCCEEDED
        if result is LostAnswer:
            self.book[key] = Receipt(key, Result.SUCCEEDED, f"{prefix}_{len(self.book) + 1}")
            raise LostAnswer(key)
        if not isinstance(result, Result):
            raise result(key)
        self.book[key] = Receipt(key, result, f"{prefix}_{len(self.book) + 1}", f"was {result.lower()}")
        return self.book[key]

    async def lookup(self, key: str) -> Receipt | None:
        self.asked.append(f"GET {key}")
        if self.lookup_fails:
            self.lookup_fails -= 1
            raise Retryable("no answer")
        return self.replay(key) if key in self.book else None

    def replay(self, key: str) -> Receipt:
        found = self.book[key]
        return Receipt(found.key, found.result, found.id, found.reason, replayed=True)

    def moved(self) -> list[str]:
        return [key for key, receipt in self.book.items() if receipt.result is Result.SUCCEEDED]


async def test_a_charge_is_asked_once() -> None:
    gateway = FakeGateway()
    assert await IdempotentGateway(gateway).call(CHARGE) == Charged(ORDER, "ch_1")
    assert gateway.asked == [f"PUT {C1}"]


async def test_a_decline_is_an_answer() -> None:
    assert await IdempotentGateway(FakeGateway(Result.DECLINED)).call(CHARGE) == Declined(
        ORDER, "was declined"
    )


async def test_after_a_lost_answer_the_charge_is_looked_up() -> None:
    gateway = FakeGateway(LostAnswer)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Retryable):
        await idempotent.call(CHARGE)
    assert await idempotent.call(CHARGE) == Charged(ORDER, "ch_1")
    assert gateway.asked == [f"PUT {C1}", f"GET {C1}"]
    assert gateway.moved() == [C1]


async def test_what_never_reached_the_gateway_is_asked_again_under_the_same_key() -> None:
    gateway = FakeGateway(Retryable)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Retryable):
        await idempotent.call(CHARGE)
    assert await idempotent.call(CHARGE) == Charged(ORDER, "ch_1")
    assert gateway.asked == [f"PUT {C1}", f"GET {C1}", f"PUT {C1}"]


async def test_while_the_lookup_fails_nothing_is_charged() -> None:
    gateway = FakeGateway(LostAnswer)
    gateway.lookup_fails = 2
    idempotent = IdempotentGateway(gateway)
    for _ in range(3):
        with pytest.raises(Retryable):
            await idempotent.call(CHARGE)
    assert await idempotent.call(CHARGE) == Charged(ORDER, "ch_1")
    assert gateway.asked == [f"PUT {C1}", f"GET {C1}", f"GET {C1}", f"GET {C1}"]


async def test_a_cancelled_call_leaves_its_key_in_doubt() -> None:
    gateway = FakeGateway(asyncio.CancelledError)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(asyncio.CancelledError):
        await idempotent.call(CHARGE)
    await idempotent.call(CHARGE)
    assert gateway.asked == [f"PUT {C1}", f"GET {C1}", f"PUT {C1}"]


async def test_only_a_definite_failure_takes_the_next_key() -> None:
    gateway = FakeGateway(Result.FAILED, Result.FAILED, Result.SUCCEEDED)
    idempotent = IdempotentGateway(gateway)
    for _ in range(2):
        with pytest.raises(Retryable, match="was failed"):
            await idempotent.call(CHARGE)
    assert await idempotent.call(CHARGE) == Charged(ORDER, "ch_3")
    assert list(gateway.book) == [C1, C2, C3]
    assert gateway.moved() == [C3]


async def test_a_new_process_starts_at_one_and_gets_the_old_answers() -> None:
    gateway = FakeGateway(Result.FAILED, LostAnswer)
    first = IdempotentGateway(gateway)
    for _ in range(2):
        with pytest.raises(Retryable):
            await first.call(CHARGE)
    gateway.asked.clear()
    assert await IdempotentGateway(gateway).call(CHARGE) == Charged(ORDER, "ch_2")
    assert gateway.asked == [f"PUT {C1}", f"PUT {C2}"]
    assert gateway.moved() == [C2]


async def test_what_the_gateway_refuses_as_wrong_is_for_a_person() -> None:
    gateway = FakeGateway(Poison)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Poison):
        await idempotent.call(CHARGE)
    await idempotent.call(CHARGE)
    assert gateway.asked == [f"PUT {C1}", f"PUT {C1}"]


async def test_a_refund_has_one_key_and_is_looked_up_after_a_lost_answer() -> None:
    gateway = FakeGateway(LostAnswer)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Retryable):
        await idempotent.call(REFUND)
    assert await idempotent.call(REFUND) == Refunded(REFUND, "re_1")
    assert gateway.asked == ["PUT refund:o1", "GET refund:o1"]


@pytest.mark.parametrize("result", [Result.FAILED, Result.DECLINED])
async def test_a_refund_the_gateway_will_not_pay_is_for_a_person(result: Result) -> None:
    with pytest.raises(Poison, match="refund:o1"):
        await IdempotentGateway(FakeGateway(result)).call(REFUND)


LATE = Charge(replace(ORDER, deadline_at=1_000))
IN_TIME, TOO_LATE = 999, 1_000


def late(gateway: FakeGateway, now: int = TOO_LATE) -> IdempotentGateway:
    return IdempotentGateway(gateway, clock=lambda: now)


async def test_a_charge_is_begun_up_to_the_deadline_and_not_from_there_on() -> None:
    gateway = FakeGateway()
    assert await late(gateway, IN_TIME).call(LATE) == Charged(LATE.order, "ch_1")
    gateway = FakeGateway()
    assert await late(gateway).call(LATE) == Declined(LATE.order, "the deadline has passed")
    assert gateway.asked == [f"DELETE {C1}"]
    assert gateway.moved() == []


async def test_after_the_deadline_a_charge_that_was_made_counts() -> None:
    gateway = FakeGateway(Result.FAILED, LostAnswer)
    for _ in range(2):
        with pytest.raises(Retryable):
            await late(gateway, IN_TIME).call(LATE)
    assert await late(gateway).call(LATE) == Charged(LATE.order, "ch_2")
    assert gateway.asked[-2:] == [f"DELETE {C1}", f"DELETE {C2}"]


async def test_after_the_deadline_a_decline_is_an_end_too() -> None:
    gateway = FakeGateway(Result.DECLINED)
    await late(gateway, IN_TIME).call(LATE)
    assert await late(gateway).call(LATE) == Declined(LATE.order, "the deadline has passed")


async def test_a_charge_that_never_was_is_withdrawn_for_good() -> None:
    gateway = FakeGateway(Retryable)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Retryable):
        await idempotent.call(CHARGE)
    assert await idempotent.call(Withdraw(ORDER)) == Withdrawn(ORDER)
    assert await IdempotentGateway(gateway).call(CHARGE) == Declined(ORDER, "the charge was withdrawn")
    assert gateway.moved() == []


async def test_a_charge_that_was_made_is_paid_back_when_it_is_withdrawn() -> None:
    gateway = FakeGateway(LostAnswer)
    idempotent = IdempotentGateway(gateway)
    with pytest.raises(Retryable):
        await idempotent.call(CHARGE)
    for again in (idempotent, IdempotentGateway(gateway)):
        assert await again.call(Withdraw(ORDER)) == Withdrawn(ORDER, "ch_1", "re_2")
    assert gateway.moved() == [C1, "refund:o1"]


async def test_another_request_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        await IdempotentGateway(FakeGateway()).call(Request())
