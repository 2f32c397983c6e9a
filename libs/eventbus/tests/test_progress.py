"""What the processor tells from its thread, and those who wait for it on the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from eventbus.model.messages import Envelope
from eventbus.model.places import Partition
from eventbus.service.progress import EARLY_BYTES, Answer, Progress, Sent
from schemas import PaymentVoided

TOPIC, LOG = "order.commands", "payment.events"
PLACE = Partition(TOPIC, 0)


def event(key: str, offset: int, partition: int = 0, *, size: int = 100, topic: str = TOPIC) -> Envelope:
    return Envelope(
        message=PaymentVoided(order_id=key, reason="r").stamp(1),
        id=f"{key}-{offset}",
        time=1,
        source="/test",
        correlation_id="c",
        cause=f"{topic}-{partition}-{offset}",
        key_version=1,
        traceparent=None,
        topic=LOG,
        partition=partition,
        offset=offset,
        size=size,
    )


@pytest.fixture
async def progress() -> Progress:
    progress = Progress(asyncio.get_running_loop())
    progress.attend({TOPIC}, partitions=2)
    return progress


def sent(answer: Answer, offset: int) -> Sent:
    position = Sent(*PLACE, offset)
    position.answer = answer
    return position


def keys(answer: Answer) -> list[str]:
    return [message.key for message in answer.events]


async def test_an_answer_that_comes_before_the_delivery_report_is_kept(progress: Progress) -> None:
    progress.expect(PLACE)
    progress.publish([event("a", 3), event("a", 3)], {PLACE: 7})
    answer = progress.stands(PLACE, 3)
    assert (keys(answer), answer.lost) == (["a", "a"], False)
    assert (progress.answered(PLACE), progress.decided(PLACE)) == (4, 7)
    assert (progress.answered(Partition(TOPIC, 1)), progress.decided(Partition(TOPIC, 1))) == (-1, -1)


async def test_an_answer_that_comes_after_it_is_kept_while_the_sender_holds_its_place(
    progress: Progress,
) -> None:
    progress.expect(PLACE)
    answer = progress.stands(PLACE, 3)
    progress.publish([event("a", 3)], {})
    assert keys(answer) == ["a"]
    del answer
    gc.collect()
    assert not progress._answers


async def test_m2_answers_to_nobody_are_not_kept(progress: Progress) -> None:
    progress.publish([event("a", n) for n in range(100)], {PLACE: 100})
    assert not progress._early
    progress.expect(Partition(TOPIC, 1))
    progress.publish([event("a", n) for n in range(100, 200)], {PLACE: 200})
    assert not progress._early, "nobody sends to this place"


async def test_m2_what_nobody_can_ask_for_any_more_is_dropped(progress: Progress) -> None:
    progress.expect(PLACE)
    progress.expect(PLACE)
    progress.publish([event("a", n) for n in range(10)], {PLACE: 10})
    first = progress.stands(PLACE, 4)
    assert sorted(progress._early[PLACE]) == [5, 6, 7, 8, 9], "the second stands behind the first"
    second = progress.stands(PLACE, 6)
    assert (len(first.events), len(second.events)) == (1, 1)
    assert (progress._early, progress._early_bytes, progress._under_way, progress._lost) == ({}, 0, {}, {})


async def test_m2_what_is_kept_is_bounded_by_bytes_and_says_so(progress: Progress) -> None:
    progress.expect(PLACE)
    progress.expect(PLACE)
    big = EARLY_BYTES // 4
    for n in range(40):
        progress.publish([event("a", n, size=big)], {})
        assert progress._early_bytes <= EARLY_BYTES
    assert progress.stands(PLACE, 3).lost, "there was an answer, and it is not kept: never taken for none"
    assert not progress.stands(PLACE, 38).lost
    assert progress._early_bytes == 0


async def test_a_command_that_was_not_written_leaves_nothing(progress: Progress) -> None:
    progress.expect(PLACE)
    progress.publish([event("a", 3)], {})
    progress.stands(PLACE, None)
    assert (progress._early, progress._early_bytes, progress._under_way) == ({}, 0, {})


async def test_causes_that_are_no_input_of_the_service_are_not_noted(progress: Progress) -> None:
    odd = [event("a", 1, topic=f"foreign-{n}") for n in range(1000)]
    odd += [event("a", 1, partition=n) for n in range(2, 1000)]
    odd += [event("a", 1, topic="order.events.deadline")]
    progress.publish(odd, {})
    assert not progress._answered


async def test_who_asks_early_is_woken_from_the_other_thread(progress: Progress) -> None:
    progress.expect(PLACE)
    position = sent(progress.stands(PLACE, 3), 3)
    asked = asyncio.create_task(progress.about(position, 5.0, decided=False))
    changed = asyncio.create_task(progress.change(LOG, "a", 5.0, lambda: False))
    moved = asyncio.create_task(progress.anything(5.0))
    await asyncio.sleep(0)
    threading.Thread(target=progress.publish, args=([event("a", 3)], {})).start()
    done, _ = await asyncio.wait({asked, changed, moved}, timeout=2.0)
    assert done == {asked, changed, moved}
    assert keys(position.answer) == ["a"]


async def test_a_command_decided_without_an_event_wakes_its_sender(progress: Progress) -> None:
    progress.expect(PLACE)
    position = sent(progress.stands(PLACE, 3), 3)
    asked = asyncio.create_task(progress.about(position, 5.0, decided=False))
    await asyncio.sleep(0)
    progress.publish([], {PLACE: 3})
    done, _ = await asyncio.wait({asked}, timeout=0.05)
    assert not done, "what is decided ends before it"
    progress.publish([], {PLACE: 4})
    done, _ = await asyncio.wait({asked}, timeout=2.0)
    assert done
    assert not progress._by_cause[PLACE]


async def test_what_was_told_before_the_wait_began_is_not_waited_for(progress: Progress) -> None:
    progress.publish([event("a", 3)], {PLACE: 9})
    await progress.change(LOG, "a", 0.0, unless=lambda: True)
    with pytest.raises(TimeoutError):
        await progress.change(LOG, "a", 0.0, unless=lambda: False)
    progress.expect(PLACE)
    position = sent(progress.stands(PLACE, 5), 5)
    await asyncio.wait_for(progress.about(position, 5.0, decided=False), 0.5)
