"""What the processor tells from its thread, and those who wait for it on the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from eventbus.messages import Envelope
from eventbus.progress import REMEMBERED, Progress
from schemas import PaymentVoided

TOPIC, LOG = "order.commands", "payment.events"


def event(key: str, offset: int, partition: int = 0) -> Envelope:
    return Envelope(
        message=PaymentVoided(order_id=key, reason="r").stamp(1),
        id=f"{key}-{offset}",
        time=1,
        source="/test",
        correlation_id="c",
        cause=f"{TOPIC}-{partition}-{offset}",
        key_version=1,
        traceparent=None,
        topic=LOG,
        partition=partition,
        offset=offset,
    )


async def told(*events: Envelope) -> Progress:
    progress = Progress(asyncio.get_running_loop())
    progress.expect(TOPIC)
    progress.publish(events, {(TOPIC, 0): 7})
    return progress


async def test_an_answer_is_there_for_whoever_asks_late() -> None:
    progress = await told(event("a", 3), event("a", 3))
    assert len(await progress.answer(f"{TOPIC}-0-3", 0.1)) == 2
    assert (progress.answered((TOPIC, 0)), progress.decided((TOPIC, 0))) == (4, 7)
    assert (progress.answered((TOPIC, 1)), progress.decided((TOPIC, 1))) == (-1, -1)


async def test_who_asks_early_is_woken_from_the_other_thread() -> None:
    progress = await told()
    asked = asyncio.create_task(progress.answer(f"{TOPIC}-0-3", 5.0))
    changed = asyncio.create_task(progress.change(LOG, "a", 5.0, lambda: False))
    moved = asyncio.create_task(progress.anything(5.0))
    await asyncio.sleep(0)
    threading.Thread(target=progress.publish, args=([event("a", 3)], {})).start()
    done, _ = await asyncio.wait({asked, changed, moved}, timeout=2.0)
    assert done == {asked, changed, moved}
    assert [m.key for m in asked.result()] == ["a"]


async def test_what_was_told_before_the_wait_began_is_not_waited_for() -> None:
    progress = await told(event("a", 3))
    await progress.change(LOG, "a", 0.0, unless=lambda: True)
    with pytest.raises(TimeoutError):
        await progress.change(LOG, "a", 0.0, unless=lambda: False)


async def test_answers_to_nobody_and_old_ones_are_not_kept() -> None:
    progress = Progress(asyncio.get_running_loop())
    progress.publish([event("a", 3)], {})
    with pytest.raises(TimeoutError):
        await progress.answer(f"{TOPIC}-0-3", 0.0)
    progress.expect(TOPIC)
    progress.publish([event("a", n) for n in range(REMEMBERED + 1)], {})
    with pytest.raises(TimeoutError):
        await progress.answer(f"{TOPIC}-0-0", 0.0)
    assert len(await progress.answer(f"{TOPIC}-0-{REMEMBERED}", 0.0)) == 1
