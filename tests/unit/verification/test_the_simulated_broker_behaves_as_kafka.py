"""The broker in memory fences, hides and waits as Kafka does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from confluent_kafka import KafkaException, TopicPartition

from verification.sim.broker import TRANSACTION_TIMEOUT, Broker
from verification.sim.clock import START, Clock
from verification.sim.consumers import Connection, InputConsumer
from verification.sim.groups import Group
from verification.sim.producer import Producer


class Bench:
    """One topic ``in`` of one partition, read by group ``g``, and a log ``out``."""

    def __init__(self) -> None:
        self.clock, self.dice = Clock(), Random(0)
        self.broker = Broker(self.clock, self.dice, lambda topic, partition: None)
        self.group = self.broker.groups["g"] = Group(("in",), 1)
        self.connection = Connection(lambda: True, lambda: None, self.dice)

    def consumer(self, name: str) -> InputConsumer:
        consumer = InputConsumer(self.broker, self.connection, self.group, name)

        def take(_: object, parts: list[TopicPartition]) -> None:
            consumer.incremental_assign(parts)

        def give(_: object, parts: list[TopicPartition]) -> None:
            consumer.incremental_unassign(parts)

        consumer.subscribe(["in"], take, give, give)
        return consumer

    def producer(self, name: str, trouble: Callable[[str], None] = lambda place: None) -> Producer:
        producer = Producer(self.broker, self.connection, name, "g", trouble)
        producer.init_transactions()
        return producer

    def visible(self, topic: str) -> list[bytes | None]:
        return [r.value for r in self.broker.log(topic, 0).visible()]


def produce(producer: Producer, value: bytes) -> None:
    producer.produce("out", value=value, key=b"k", partition=0, headers=[], on_delivery=lambda *_: None)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_records_show_once_their_transaction_has_committed(bench: Bench) -> None:
    producer = bench.producer("p")
    producer.begin_transaction()
    produce(producer, b"1")
    assert bench.visible("out") == [] and bench.broker.log("out", 0).end == 1
    producer.commit_transaction()
    assert bench.visible("out") == [b"1"] and bench.broker.log("out", 0).end == 2
    producer.begin_transaction()
    produce(producer, b"2")
    producer.abort_transaction()
    assert bench.visible("out") == [b"1"]


def test_an_open_transaction_hides_what_comes_after_it_until_it_times_out(bench: Bench) -> None:
    hanging, other = bench.producer("p"), bench.producer("q")
    hanging.begin_transaction()
    produce(hanging, b"never")
    other.begin_transaction()
    produce(other, b"later")
    other.commit_transaction()
    assert bench.visible("out") == []
    bench.clock.run_until(START + TRANSACTION_TIMEOUT + 1)
    assert bench.visible("out") == [b"later"]
    with pytest.raises(KafkaException) as fenced:
        hanging.commit_transaction()
    assert fenced.value.args[0].fatal()


def test_a_successor_in_the_slot_fences_its_predecessor(bench: Bench) -> None:
    old = bench.producer("p")
    old.begin_transaction()
    produce(old, b"old")
    bench.producer("p")
    with pytest.raises(KafkaException) as fenced:
        old.commit_transaction()
    assert fenced.value.args[0].fatal() and bench.visible("out") == []


def test_a_zombie_of_the_group_commits_nothing(bench: Bench) -> None:
    consumer, producer = bench.consumer("one"), bench.producer("p")
    consumer.poll(0)
    metadata = consumer.consumer_group_metadata()
    bench.group.leave(consumer.member)
    producer.begin_transaction()
    produce(producer, b"zombie")
    with pytest.raises(KafkaException) as refused:
        producer.send_offsets_to_transaction([TopicPartition("in", 0, 1)], metadata)
    assert refused.value.args[0].txn_requires_abort()


def test_a_member_of_an_earlier_epoch_commits_nothing_either(bench: Bench) -> None:
    one, producer = bench.consumer("one"), bench.producer("p")
    one.poll(0)
    metadata = one.consumer_group_metadata()
    bench.consumer("two")
    one.poll(0)
    producer.begin_transaction()
    with pytest.raises(KafkaException):
        producer.send_offsets_to_transaction([TopicPartition("in", 0, 1)], metadata)


def test_committed_offsets_are_returned_once_no_transaction_may_move_them(bench: Bench) -> None:
    one, producer = bench.consumer("one"), bench.producer("p")
    one.poll(0)
    place = [TopicPartition("in", 0)]
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition("in", 0, 5)], one.consumer_group_metadata())
    with pytest.raises(KafkaException) as unstable:
        one.committed(place, 1.0)
    assert unstable.value.args[0].retriable()
    producer.commit_transaction()
    assert one.committed(place, 1.0)[0].offset == 5


def test_a_partition_has_one_owner_at_any_time(bench: Bench) -> None:
    two = bench.consumer("b")
    two.poll(0)
    one = bench.consumer("a")
    one.poll(0)
    owned = [m.owned for m in bench.group.members.values()]
    assert owned == [{("in", 0)}, set()]
    two.poll(0)
    one.poll(0)
    assert [m.owned for m in bench.group.members.values()] == [set(), {("in", 0)}]


def test_compaction_keeps_the_last_record_of_each_key(bench: Bench) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", b"3")):
        bench.broker.append("in", 0, key, value, [], True)
    bench.broker.compact("in", 0)
    assert bench.visible("in") == [b"2", b"3"]
