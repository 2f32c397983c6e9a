"""A service whose topics are not there says which, and goes on once they are made."""

from __future__ import annotations

import pytest

from eventbus.kafka.cluster import Cluster
from eventbus.kafka.topics import create as create_topics
from eventbus.model.errors import Unavailable
from tests.support.processes import ServiceProcess
from tests.support.system import System
from tests.support.waiting import eventually
from tools.registry import BY_NAME
from tools.wiring import topics


def test_topics_that_are_missing_are_named_and_only_these(system: System) -> None:
    wanted = ["order.events", "order.dlq", "typo.events", "typo.retry"]
    prefix = system.settings.topic_prefix

    with pytest.raises(Unavailable) as raised:
        Cluster(system.settings, wanted)

    error = str(raised.value)
    assert f"{prefix}typo.events, {prefix}typo.retry" in error
    assert f"{prefix}order" not in error
    assert "eventbus topics create" in error and system.settings.bootstrap_servers in error


def test_a_service_whose_topics_are_missing_says_which_and_goes_on_once_they_are_made(system: System) -> None:
    fraud: ServiceProcess = system.service("fraud").start()
    eventually(lambda: "waiting for Kafka: missing at" in fraud.tail(), "it says what it waits for")
    assert f"{system.settings.topic_prefix}fraud.events" in fraud.tail()

    create_topics(system.settings, topics([BY_NAME["fraud"]]))
    fraud.wait_ready()


def test_a_topic_that_is_added_later_has_as_many_partitions_as_the_others(system: System) -> None:
    """Whatever the setting says by then: a service reads them together."""
    made = system.settings.partitions
    later = system.settings.model_copy(update={"partitions": made + 4})

    created = create_topics(later, topics([BY_NAME["fraud"]]), ["order.events"])

    name = f"{later.topic_prefix}fraud.events"
    assert name in created

    def counted() -> int:
        found = system.topics.admin.list_topics(timeout=10.0).topics
        return len(found[name].partitions) if name in found else 0

    assert eventually(counted, "it is there") == made


def test_a_log_that_another_decider_of_the_service_reads_is_asked_for_once(system: System) -> None:
    """Kafka refuses a question that names a topic twice."""
    cluster = Cluster(system.settings, ["order.events", "order.commands", "order.events"])

    assert set(cluster.topic_ids) == {"order.events", "order.commands"}
