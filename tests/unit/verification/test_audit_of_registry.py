"""The audit reads the log of every service in the registry, also of one of whose money and stock it knows nothing."""

from __future__ import annotations

from examples.fraud.messages import OrderCleared
from tests.support.forgeries import shop
from tests.support.recorded_topics import NOW, RecordedTopics
from tools import wiring
from tools.registry import SERVICES
from verification.audit.judge import AuditResult, judge
from verification.audit.ledger import ABSENT, LETTERS, LISTENERS, TOPICS, WRITERS, Ledger


def one_partition(key: bytes) -> int:
    return 0


def audited(recorded: RecordedTopics) -> AuditResult:
    ledger = Ledger(wiring.codec(), one_partition)
    ledger.advance(
        {(g, *part): end for part, end in recorded.ends().items() for g in LISTENERS.get(part[0], ())}
    )
    for raw in recorded.records:
        ledger.take(raw)
    return judge(ledger, None, sure_until=0, now=NOW + 5000)


def screened() -> RecordedTopics:
    recorded = RecordedTopics(one_partition)
    recorded.codec = wiring.codec()
    shop(recorded)
    created = recorded.find("order.events", "o1", "OrderCreated").position
    recorded.write(OrderCleared(order_id="o1"), created)
    return recorded


def test_an_honest_log_of_a_fifth_service_is_clean() -> None:
    assert audited(screened()).violations == []


def test_an_event_out_of_its_turn_in_the_log_of_a_fifth_service_is_named() -> None:
    recorded = screened()
    created = recorded.find("order.events", "o1", "OrderCreated").position
    recorded.write(OrderCleared(order_id="o1"), created, key_version=7)
    [violation] = audited(recorded).violations
    assert (violation.rule, violation.found) == ("key versions", "event 7")
    assert violation.where.startswith("fraud.events-")


def test_a_record_that_a_fifth_service_did_not_write_is_named() -> None:
    recorded = screened()
    recorded.put("fraud.events", 0, b"o1", b"anything", [])
    [violation] = audited(recorded).violations
    assert violation.where.startswith("fraud.events-")


def test_every_topic_of_every_service_is_read_and_only_those_of_examples_may_be_absent() -> None:
    assert set(WRITERS.values()) == {service.name for service in SERVICES}
    assert {service.dead_letters for service in SERVICES} == set(LETTERS) <= set(TOPICS)
    assert {service.retry for service in SERVICES} < set(TOPICS)
    assert {"fraud.events", "fraud.retry", "fraud.dlq"} == ABSENT
