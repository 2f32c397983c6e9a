"""The three kinds of transaction error, each with its own consequence: again, abort, or end.

retriable   the same call is repeated
abortable   the transaction is aborted, what was decided is forgotten, the input is read again
fatal       the process ends; its supervisor starts a fresh one
"""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from eventbus.kafka.clients import transactional_producer
from eventbus.kafka.transactions import Aborted, transactionally
from eventbus.model.errors import Fenced, NeedsRestart, ProcessMustEnd
from tests.integration.orders import create, order_ids
from tests.support.system import System
from tests.support.topic_client import by_key
from tests.support.waiting import eventually


class Flaky:
    """A call that fails with these errors, one after the other, and then works."""

    def __init__(self, *errors: KafkaError) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self, value: str) -> str:
        self.calls += 1
        if self.errors:
            raise KafkaException(self.errors.pop(0))
        return value


def kafka_error(code: int, **kind: bool) -> KafkaError:
    return KafkaError(code, "as a broker might say", **kind)


def test_a_retriable_error_repeats_the_same_call() -> None:
    passing = kafka_error(KafkaError._TIMED_OUT, retriable=True)
    call = Flaky(passing, passing, passing)

    assert transactionally(call, "done") == "done"
    assert call.calls == 4


def test_an_error_that_stays_retriable_for_too_long_ends_the_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eventbus.kafka.transactions.PATIENCE", 0.0)
    passing = kafka_error(KafkaError._TIMED_OUT, retriable=True)

    with pytest.raises(NeedsRestart, match="no further"):
        transactionally(Flaky(*[passing] * 10_000), "done")


def test_an_abortable_error_is_told_as_such_and_not_repeated() -> None:
    call = Flaky(kafka_error(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True))

    with pytest.raises(Aborted):
        transactionally(call, "done")
    assert call.calls == 1


@pytest.mark.parametrize("kind", [{"fatal": True}, {}], ids=["fatal", "unflagged"])
def test_a_fatal_or_unflagged_error_ends_the_producer(kind: dict[str, bool]) -> None:
    call = Flaky(kafka_error(KafkaError._FENCED, **kind))

    with pytest.raises(ProcessMustEnd):
        transactionally(call, "done")
    assert call.calls == 1


def test_offsets_of_a_consumer_that_left_its_group_abort_and_the_producer_goes_on(system: System) -> None:
    settings, topics = system.settings, system.topics
    producer = transactional_producer(settings, "aborting")
    transactionally(producer.init_transactions)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.topic("aborting"),
            "group.protocol": "consumer",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([settings.topic("order.commands")])
    eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), "it is a member")
    member = consumer.consumer_group_metadata()
    consumer.close()
    offsets = [TopicPartition(settings.topic("order.commands"), 0, 1)]

    def write(value: bytes) -> None:
        transactionally(producer.begin_transaction)
        producer.produce(settings.topic("order.dlq"), value=value, key=b"k", partition=0)

    write(b"aborted")
    with pytest.raises(Aborted):
        transactionally(producer.send_offsets_to_transaction, offsets, member)
    transactionally(producer.abort_transaction)
    write(b"committed")
    transactionally(producer.commit_transaction)

    # The coordinator answers before the partition has its marker.
    eventually(lambda: topics.read("order.dlq"), "the transaction can be read")
    assert [raw.value for raw in topics.read("order.dlq")] == [b"committed"]


def test_a_second_producer_with_the_same_id_fences_the_first(system: System) -> None:
    first = transactional_producer(system.settings, "twice")
    transactionally(first.init_transactions)
    transactionally(first.begin_transaction)
    first.produce(system.settings.topic("order.dlq"), value=b"first", partition=0)
    first.flush(10)

    second = transactional_producer(system.settings, "twice")
    transactionally(second.init_transactions)

    with pytest.raises(Fenced):
        transactionally(first.commit_transaction)
    transactionally(second.begin_transaction)
    second.produce(system.settings.topic("order.dlq"), value=b"second", partition=0)
    transactionally(second.commit_transaction)
    assert [raw.value for raw in system.topics.read("order.dlq")] == [b"second"]


def test_a_service_that_is_fenced_ends_and_its_successor_loses_and_doubles_nothing(system: System) -> None:
    (order,) = system.start("order")
    ids = order_ids(40)
    system.topics.send(*(create(i) for i in ids[:20]))
    system.wait_consumed("order")

    usurper = transactional_producer(system.settings, system.transactional_id("order"))
    transactionally(usurper.init_transactions)
    system.topics.send(*(create(i) for i in ids[20:]))

    assert order.wait_end() == 1
    assert "fenced by a newer instance" in order.tail()
    order.start().wait_ready()
    system.wait_consumed("order")
    assert by_key(system.topics.messages("order.events")) == {i: ["OrderCreated"] for i in ids}


def test_a_second_process_on_a_taken_slot_says_so_and_ends(system: System) -> None:
    (order,) = system.start("order")
    second = system.service("order", slot=0).start()

    assert second.wait_end() == 1
    assert "slot 0 of order" in second.tail() and "EVENTBUS_SLOT" in second.tail()
    assert order.is_ready()
