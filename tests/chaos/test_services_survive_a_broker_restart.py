"""The one broker ends, in order or by kill -9, and comes back: every service goes on by itself."""

from __future__ import annotations

import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventbus import Settings
from eventbus.kafka.clients import probe_consumer, transactional_producer
from eventbus.kafka.errors import passes
from tests.chaos.conftest import OpenCluster
from tests.chaos.invariants import more_settle, under_load
from tests.support.waiting import eventually
from tools.stack.cluster import LocalCluster

TIMEOUT = 2.0
"""Seconds a transaction of the test may last."""


@pytest.mark.parametrize("way", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
def test_orders_go_on_after_a_broker_is_restarted(
    cluster: LocalCluster, open_cluster: OpenCluster, way: str
) -> None:
    chaos, broker = open_cluster(), cluster.brokers[0]
    with under_load(chaos) as load:
        broker.kill() if way == "killed" else broker.stop()
        broker.start()
        more_settle(load, timeout=90)


def test_a_transaction_that_outlives_its_broker_is_ended(cluster: LocalCluster) -> None:
    """A broker away for longer than the timeout still writes the markers; Kafka 4.3.1 did not (KAFKA-20734)."""
    broker, name = cluster.brokers[0], f"t{uuid.uuid4().hex[:8]}"
    servers = broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    consumer = Consumer({"bootstrap.servers": servers, "group.id": name})
    consumer.subscribe([name])
    eventually(lambda: consumer.poll(0.1) or consumer.assignment(), "a place in the group")
    settings = Settings(bootstrap_servers=servers, topic_prefix="", transaction_timeout=TIMEOUT)
    producer = transactional_producer(settings, name)
    producer.init_transactions()
    for offset in (1, 2):
        producer.begin_transaction()
        producer.produce(name, b"a record")
        producer.send_offsets_to_transaction(
            [TopicPartition(name, 0, offset)], consumer.consumer_group_metadata()
        )
        producer.flush()
        if offset == 1:
            producer.commit_transaction()

    broker.kill()
    time.sleep(TIMEOUT + 1)  # what is tested is that this much time passes
    broker.start()

    after = probe_consumer(settings, name, "read_committed")

    def committed() -> list[TopicPartition] | None:
        try:
            return after.committed([TopicPartition(name, 0)], timeout=15)
        except KafkaException as exception:
            if not passes(exception.args[0]):
                raise
            return None

    stands = eventually(committed, "the offsets are stable")
    assert stands and stands[0].offset == 1
    lowest, highest = after.get_watermark_offsets(TopicPartition(name, 0), timeout=5)
    assert (lowest, highest) == (0, 4), "two records, a commit marker and an abort marker"
    after.close()
    consumer.close()
