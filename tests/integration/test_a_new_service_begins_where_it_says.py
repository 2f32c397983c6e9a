"""A service with effects outside begins now, or at a time: it repeats no history, and skips nothing after that."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from eventbus.headers import headers_of
from eventbus.kafka.clients import transactional_producer
from eventbus.model.messages import Envelope
from schemas import OrderConfirmed
from tests.integration.orders import order_ids
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually

INPUTS = ("order.events", "payment.events", "inventory.events")


def confirm(system: System, count: int = 9) -> set[str]:
    """Confirmed orders, in every partition; returns their ids."""
    ids = order_ids(count)
    system.topics.send(
        *(OrderConfirmed(order_id=i, user_id="u1", total_amount=1, currency="GBP") for i in ids)
    )
    return set(ids)


def replica(system: System, start_from: str, slot: int = 0) -> ServiceProcess:
    crash = str(system.directory / "crash")
    module = "tests.integration.beginning"
    return system.service("notification", slot, module=module, START_FROM=start_from, CRASH_FILE=crash)


def notified(system: System) -> list[str]:
    return [message.key for message in system.topics.messages("notification.events")]


def wait_notified(system: System, wanted: set[str]) -> None:
    """Exactly these orders have been answered, once each, and there is nothing left to read."""
    eventually(lambda: set(notified(system)) >= wanted, "all are notified")
    system.wait_consumed("notification")
    assert sorted(notified(system)) == sorted(wanted)


def test_now_is_fixed_before_the_first_input_and_survives_every_replica(system: System) -> None:
    """Two replicas; a crash before the position is committed, and one of both before there was any input."""
    history = confirm(system)
    (system.directory / "crash").touch()
    first, second = replica(system, "now"), replica(system, "now", slot=1)
    assert first.start().wait_end() == -9
    for each in (first, second):
        each.start()
    for each in (first, second):
        each.wait_ready()
    begun = {
        place: offset
        for place, offset in system.topics.committed("notification").items()
        if place[0] in INPUTS
    }
    assert len(begun) == len(INPUTS) * system.settings.partitions and all(
        offset >= 0 for offset in begun.values()
    )

    for each in (first, second):
        each.kill()
    while_down = confirm(system)
    first.start().wait_ready()
    wait_notified(system, while_down)
    second.start().wait_ready()
    later = confirm(system)
    wait_notified(system, while_down | later)
    assert not history & set(notified(system))


def test_now_refuses_lost_offsets_and_a_time_mends_them(system: System) -> None:
    history = confirm(system)
    newest = max(raw.timestamp for raw in system.topics.read("order.events"))
    began = datetime.fromtimestamp((newest + 1) / 1000, UTC).isoformat(timespec="milliseconds")
    running = replica(system, "now").start().wait_ready()
    answered = confirm(system)
    wait_notified(system, answered)
    running.stop()
    [deleted] = system.topics.admin.delete_consumer_groups([system.settings.topic("notification")]).values()
    deleted.result()
    missed = confirm(system)

    assert running.start().wait_end() == 1
    assert "are lost, though notification.events-" in running.tail()
    assert "give a time before that as start_from" in running.tail()
    assert sorted(notified(system)) == sorted(answered)

    replica(system, began).start().wait_ready()
    wait_notified(system, answered | missed)
    assert not history & set(notified(system))


def test_now_includes_what_a_transaction_holds_that_is_open(system: System) -> None:
    """It becomes visible after the start, so it is read."""
    [late] = order_ids(1)
    message = OrderConfirmed(order_id=late, user_id="u1", total_amount=1, currency="GBP", timestamp=1)
    partition = system.topics.partition(late)
    envelope = Envelope.from_outside(message, message.topic, partition, time=1, source="/test")
    producer = transactional_producer(
        system.settings.model_copy(update={"transaction_timeout": 60.0}), "slow"
    )
    producer.init_transactions(10.0)
    producer.begin_transaction()
    producer.produce(
        system.settings.topic(message.topic),
        value=system.topics.codec.encode(message),
        key=late.encode(),
        partition=partition,
        headers=list(headers_of(envelope)),
    )
    assert producer.flush(10.0) == 0

    replica(system, "now").start().wait_ready()
    assert not system.topics.is_stable("order.events")
    producer.commit_transaction(10.0)
    wait_notified(system, {late})


@pytest.mark.parametrize(
    ("start_from", "says"), [("latest", "give earliest, now, or a time"), ("2999-01-01T00:00:00Z", "future")]
)
def test_a_wrong_starting_position_ends_the_process_with_a_sentence(
    system: System, start_from: str, says: str
) -> None:
    process = replica(system, start_from).start()
    assert process.wait_end() == 1
    assert says in process.tail() and "Traceback" not in process.log.read_text(), os.linesep + process.tail()
