"""A replica answers few questions for causes at a time, on threads of their own; its event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from eventbus import Question, Settings, Unavailable, Why
from eventbus.codec import Codec
from eventbus.service import inquiries
from eventbus.service.inquiries import Inquiries

QUESTION = Question("o1", (), 0)
CODEC = Codec("parcels")


class Held:
    """Searches that last until they are released."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.fails = False

    def why(self, *of: object) -> Why:
        self.begun.release()
        assert self.release.acquire(timeout=30)
        if self.fails:
            raise Unavailable("Kafka is away")
        return Why("o1", (), 0, "", {})

    async def under_way(self, count: int) -> None:
        """Return once that many more have begun."""
        for _ in range(count):
            assert await asyncio.to_thread(self.begun.acquire, timeout=30)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(inquiries, "why", held.why)
    yield held
    held.release.release(10)


async def test_the_third_is_refused_at_once_and_may_ask_again_when_one_is_answered(held: Held) -> None:
    asked = Inquiries(Settings())
    first, second = (asyncio.create_task(asked.ask(QUESTION, CODEC)) for _ in range(2))
    await held.under_way(2)
    with pytest.raises(Unavailable, match="2 such questions at a time: ask again"):
        await asked.ask(QUESTION, CODEC)
    held.release.release()
    done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    third = asyncio.create_task(asked.ask(QUESTION, CODEC))
    await held.under_way(1)
    held.release.release(2)
    assert [answer.key for answer in await asyncio.gather(first, second, third)] == ["o1"] * 3


async def test_one_whose_caller_went_away_counts_until_it_ends(held: Held) -> None:
    asked = Inquiries(Settings(why_at_once=1))
    task = asyncio.create_task(asked.ask(QUESTION, CODEC))
    await held.under_way(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Unavailable):
        await asked.ask(QUESTION, CODEC)
    held.release.release(2)
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await asked.ask(QUESTION, CODEC)).key == "o1"
                return
            except Unavailable:
                await asyncio.to_thread(held.begun.acquire, timeout=0.01)


async def test_one_that_fails_makes_room(held: Held) -> None:
    asked = Inquiries(Settings(why_at_once=1))
    held.fails = True
    held.release.release(2)
    for _ in range(2):
        with pytest.raises(Unavailable, match="Kafka is away"):
            await asked.ask(QUESTION, CODEC)
