"""What the topics of the services are: data lies in them, so none changes unnoticed."""

from __future__ import annotations

import pytest

from tools import wiring
from tools.registry import BY_NAME

FIRST = tuple(BY_NAME[name] for name in ("order", "payment", "inventory", "notification"))

MONTH = "2592000000"
PASSING = {"retention.ms": MONTH, "max.message.bytes": "2000000"}
LOG = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "5000000"}
RETRY = {"cleanup.policy": "compact", "max.message.bytes": "9000000"}
DLQ = {"retention.ms": "-1", "max.message.bytes": "9000000"}
SKIPS = {"cleanup.policy": "compact", "max.message.bytes": "2000000"}


def beside(service: str) -> dict[str, dict[str, str]]:
    return {f"{service}.retry": RETRY, f"{service}.dlq": DLQ, f"{service}.admin": PASSING}


def test_the_topics_of_the_services_are_those_of_the_first_release() -> None:
    assert {topic.name: topic.config for topic in wiring.topics(FIRST)} == {
        "order.commands": PASSING,
        "order.events": LOG,
        "payment.events": LOG,
        "inventory.events": LOG,
        "inventory.answers": PASSING,
        "stock.commands": PASSING,
        "stock.events": LOG,
        "notification.events": LOG,
        **beside("order"),
        **beside("payment"),
        **beside("inventory"),
        **beside("notification"),
        "eventbus.skips": SKIPS,
    }


def test_all_topics_but_that_of_skips_have_the_same_number_of_partitions() -> None:
    assert {t.name: t.partitions for t in wiring.topics() if t.partitions} == {"eventbus.skips": 1}


def test_no_topic_is_made_twice() -> None:
    names = [topic.name for topic in wiring.topics()]
    assert len(names) == len(set(names)) >= 21


@pytest.mark.parametrize("name", ["order", "payment", "inventory", "notification"])
def test_a_service_alone_has_the_topics_that_it_has_among_all(name: str) -> None:
    everything = wiring.topics()
    assert all(topic in everything for topic in wiring.topics([BY_NAME[name]]))


def test_the_example_makes_no_topic_of_the_services() -> None:
    made = {topic.name for topic in wiring.topics([BY_NAME["fraud"]])}
    assert made == {"fraud.events", "fraud.retry", "fraud.dlq", "fraud.admin", "eventbus.skips"}
