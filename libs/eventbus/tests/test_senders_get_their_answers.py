"""What the processor publishes from its thread reaches those who wait for it on the event loop, and nobody else."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from eventbus.model.messages import Envelope
from eventbus.model.places import Partition
from eventbus.service.answers import EARLY_BYTES, Answer, Sent
from eventbus.service.progress import Progress
from parcels.messages import CourierNoted

TOPIC, LOG = "parcel.commands", "courier.events"
PARTITION = Partition(TOPIC, 0)


def event(key: str, offset: int, partition: int = 0, *, size: int = 100, topic: str = TOPIC) -> Envelope:
    return Envelope(
        message=CourierNoted(parcel_id=key, note="r").stamp(1),
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
    return Progress(asyncio.get_running_loop(), {TOPIC}, partitions=2)


def sent(answer: Answer, offset: int) -> Sent:
    return Sent(*PARTITION, offset, answer)


def keys(answer: Answer) -> list[str]:
    return [message.key for message in answer.events]


async def test_an_answer_that_comes_before_the_delivery_report_is_kept(progress: Progress) -> None:
    progress.expect(PARTITION)
    progress.publish([event("a", 3), event("a", 3)], {PARTITION: 7})
    answer = progress.placed(PARTITION, 3)
    assert (keys(answer), answer.lost) == (["a", "a"], False)
    assert (progress.answered(PARTITION), progress.decided(PARTITION)) == (4, 7)
    assert (progress.answered(Partition(TOPIC, 1)), progress.decided(Partition(TOPIC, 1))) == (-1, -1)


async def test_an_answer_that_comes_after_it_is_kept_while_the_sender_holds_what_it_got(
    progress: Progress,
) -> None:
    progress.expect(PARTITION)
    answer = progress.placed(PARTITION, 3)
    progress.publish([event("a", 3)], {})
    assert keys(answer) == ["a"]
    del answer
    gc.collect()
    assert not progress._answers._answers


async def test_m2_answers_that_no_sender_waits_for_are_not_kept(progress: Progress) -> None:
    progress.publish([event("a", n) for n in range(100)], {PARTITION: 100})
    assert not progress._answers._early
    progress.expect(Partition(TOPIC, 1))
    progress.publish([event("a", n) for n in range(100, 200)], {PARTITION: 200})
    assert not progress._answers._early, "nobody sends to this partition"


async def test_m2_what_nobody_can_ask_for_any_more_is_dropped(progress: Progress) -> None:
    progress.expect(PARTITION)
    progress.expect(PARTITION)
    progress.publish([event("a", n) for n in range(10)], {PARTITION: 10})
    first = progress.placed(PARTITION, 4)
    assert sorted(progress._answers._early[PARTITION]) == [5, 6, 7, 8, 9], (
        "the second stands behind the first"
    )
    second = progress.placed(PARTITION, 6)
    assert (len(first.events), len(second.events)) == (1, 1)
    kept = progress._answers
    assert (kept._early, kept._early_bytes, kept._under_way, kept._lost) == ({}, 0, {}, {})


async def test_m2_what_is_kept_is_bounded_by_bytes_and_says_so(progress: Progress) -> None:
    progress.expect(PARTITION)
    progress.expect(PARTITION)
    big = EARLY_BYTES // 4
    for n in range(40):
        progress.publish([event("a", n, size=big)], {})
        assert progress._answers._early_bytes <= EARLY_BYTES
    assert progress.placed(PARTITION, 3).lost, "there was an answer, and it is not kept: never taken for none"
    assert not progress.placed(PARTITION, 38).lost
    assert progress._answers._early_bytes == 0


async def test_a_command_that_was_not_written_leaves_nothing(progress: Progress) -> None:
    progress.expect(PARTITION)
    progress.publish([event("a", 3)], {})
    progress.placed(PARTITION, None)
    kept = progress._answers
    assert (kept._early, kept._early_bytes, kept._under_way) == ({}, 0, {})


async def test_causes_that_are_no_input_of_the_service_are_not_noted(progress: Progress) -> None:
    odd = [event("a", 1, topic=f"foreign-{n}") for n in range(1000)]
    odd += [event("a", 1, partition=n) for n in range(2, 1000)]
    odd += [event("a", 1, topic="parcel.events.deadline")]
    progress.publish(odd, {})
    assert not progress._answered


async def test_a_waiter_is_woken_from_the_other_thread(progress: Progress) -> None:
    progress.expect(PARTITION)
    position = sent(progress.placed(PARTITION, 3), 3)
    asked = asyncio.create_task(progress.answer_or_decision(position, 5.0, decided=False))
    moved = asyncio.create_task(progress.anything(5.0))
    await asyncio.sleep(0)
    threading.Thread(target=progress.publish, args=([event("a", 3)], {})).start()
    done, _ = await asyncio.wait({asked, moved}, timeout=2.0)
    assert done == {asked, moved}
    assert keys(position.answer) == ["a"]


async def test_a_command_decided_without_an_event_wakes_its_sender(progress: Progress) -> None:
    progress.expect(PARTITION)
    position = sent(progress.placed(PARTITION, 3), 3)
    asked = asyncio.create_task(progress.answer_or_decision(position, 5.0, decided=False))
    await asyncio.sleep(0)
    progress.publish([], {PARTITION: 3})
    done, _ = await asyncio.wait({asked}, timeout=0.05)
    assert not done, "what is decided ends before it"
    progress.publish([], {PARTITION: 4})
    done, _ = await asyncio.wait({asked}, timeout=2.0)
    assert done
    assert not progress._by_cause[PARTITION]


async def test_what_was_published_before_the_wait_began_is_not_waited_for(progress: Progress) -> None:
    progress.publish([event("a", 3)], {PARTITION: 9})
    progress.expect(PARTITION)
    position = sent(progress.placed(PARTITION, 5), 5)
    await asyncio.wait_for(progress.answer_or_decision(position, 5.0, decided=False), 0.5)
