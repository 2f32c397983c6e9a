"""The audit finds every kind of violation in the topics of a real broker and in a gateway's record."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from eventbus import Settings
from eventbus.kafka.records import partition_of
from eventbus.kafka.topics import create
from eventbus.model.places import Position
from tests.support.forgeries import FORGERIES, PRODUCT, Forgery, shop
from tests.support.recorded_topics import RecordedTopics
from tools import wiring
from verification.audit.__main__ import main
from verification.audit.ledger import LISTENERS, TOPICS
from verification.hostile.aside import set_aside
from verification.hostile.catalogue import FAMILIES, IN_LETTERS, IN_OWN_LOGS, IN_RETRIES, Catalogue
from verification.hostile.writing import Writer

PARTITIONS = 2


def place(key: bytes) -> int:
    return partition_of(key, PARTITIONS)


@pytest.fixture
def topics(kafka: str) -> Settings:
    """Empty topics of one test's own."""
    prefix = f"audit{uuid.uuid4().hex[:8]}."
    settings = Settings(bootstrap_servers=kafka, topic_prefix=prefix, partitions=PARTITIONS)
    create(settings, wiring.topics())
    return settings


def publish(settings: Settings, recorded: RecordedTopics, transactional: bool = False) -> None:
    """Write the records to Kafka, each at the position it holds."""
    config: dict[str, str | int | bool] = {"bootstrap.servers": settings.bootstrap_servers, "linger.ms": 20}
    if transactional:
        config["transactional.id"] = f"{settings.topic_prefix}writer"
    producer = Producer(config)
    if transactional:
        producer.init_transactions(30)
        producer.begin_transaction()
    for raw in recorded.records:
        producer.produce(
            settings.topic(raw.topic), raw.value, raw.key, partition=raw.partition, headers=list(raw.headers)
        )
    if transactional:
        producer.flush(30)
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


def decide_all(settings: Settings, recorded: RecordedTopics, except_for: str = "", upto: int = 0) -> None:
    """Commit for every group that it has decided everything, or everything up to an offset."""
    ends = {(topic, i): upto for topic in LISTENERS for i in range(PARTITIONS)} if upto else recorded.ends()
    for group in {group for groups in LISTENERS.values() for group in groups} - {except_for}:
        parts = [part for part in ends if group in LISTENERS.get(part[0], ())]
        consumer = Consumer(
            {"bootstrap.servers": settings.bootstrap_servers, "group.id": settings.topic(group)}
        )
        offsets = [TopicPartition(settings.topic(topic), i, ends[topic, i]) for topic, i in parts]
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()


@contextmanager
def gateway(recorded: RecordedTopics) -> Iterator[str]:
    """A gateway that answers with its record."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            after = int(parse_qs(urlsplit(self.path).query)["after"][0])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(recorded.record(after).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def audit(settings: Settings, recorded: RecordedTopics, *options: str) -> int:
    """The exit status of ``python -m verification.audit``."""
    with gateway(recorded) as url:
        where = ["--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]
        return main([*where, "--gateway-url", url, *options])


def test_honest_topics_pass(topics: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = RecordedTopics(place)
    shop(recorded)
    publish(topics, recorded, transactional=True)
    decide_all(topics, recorded)
    status = audit(topics, recorded)
    out = capsys.readouterr().out
    assert status == 0, out
    assert "600 − 200 = 400 = 400" in out
    assert "0 + 100 − 96 = 4 = 2 held + 2 shipped" in out
    assert "4 orders accepted" in out


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forgery_is_caught(topics: Settings, capsys: pytest.CaptureFixture[str], forgery: Forgery) -> None:
    recorded = forgery.recorded(place)
    publish(topics, recorded)
    decide_all(topics, recorded)
    status = audit(topics, recorded)
    out = capsys.readouterr().out
    assert status == 1, out
    assert f"{forgery.rule}: {forgery.subject} at " in out
    assert forgery.says in out


def test_what_is_on_its_way_is_waited_for_then_listed(
    topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RecordedTopics(place)
    shop(recorded)
    publish(topics, recorded)
    decide_all(topics, recorded, except_for="payment")
    assert audit(topics, recorded, "--wait", "1") == 0
    printed = capsys.readouterr()
    assert "waiting for them to end" in printed.err
    assert "payment has not decided order.events-" in printed.out
    assert "4 open" in printed.out


def test_an_aborted_transaction_counts_for_nothing(
    topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RecordedTopics(place)
    shop(recorded)
    publish(topics, recorded)
    decide_all(topics, recorded)
    producer = Producer(
        {"bootstrap.servers": topics.bootstrap_servers, "transactional.id": f"{topics.topic_prefix}aborts"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    event = recorded.find("order.events", "o1")
    producer.produce(
        topics.topic("order.events"), event.value, event.key, event.partition, headers=list(event.headers)
    )
    producer.flush(30)
    producer.abort_transaction(30)
    assert audit(topics, recorded) == 0, capsys.readouterr().out


def test_dead_letters_are_listed_with_their_place(
    topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RecordedTopics(place)
    shop(recorded)
    recorded.create("o9", PRODUCT)
    recorded.dead_letter(recorded.find("order.events", "o9", "OrderCreated"), "payment")
    publish(topics, recorded)
    decide_all(topics, recorded)
    assert audit(topics, recorded) == 0
    out = capsys.readouterr().out
    assert "1 dead-lettered" in out
    assert f"payment.dlq-{place(b'o9')}-0" in out
    assert "2 for dead-lettered ones" in out


def test_a_system_that_is_not_there_is_reported_in_a_sentence(
    kafka: str, topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bootstrap-servers", kafka, "--topic-prefix", "nowhere."]) == 2
    assert "has no topic nowhere.order.commands" in capsys.readouterr().err
    where = ["--bootstrap-servers", kafka, "--topic-prefix", topics.topic_prefix]
    assert main([*where, "--gateway-url", "http://127.0.0.1:1"]) == 2
    assert "The gateway's record at http://127.0.0.1:1" in capsys.readouterr().err


def test_no_hostile_record_ends_the_audit(topics: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer(topics)
    writer.write(Catalogue(PARTITIONS).all_of(*FAMILIES))
    assert not writer.refused

    assert audit(topics, RecordedTopics(place), "--wait", "0", "--json") == 1

    found = json.loads(capsys.readouterr().out)
    assert found["records"] == sum(place.topic in TOPICS for place in writer.written)
    named = {violation["where"] for violation in found["violations"]}
    forged = {str(p) for p in writer.written if p.topic.endswith(".retry")}
    assert forged <= named, forged - named


def test_what_no_leader_wrote_is_named_until_it_is_set_aside(
    topics: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RecordedTopics(place)
    shop(recorded)
    publish(topics, recorded)
    catalogue, writer = Catalogue(PARTITIONS), Writer(topics)
    writer.write(catalogue.all_of(IN_OWN_LOGS, IN_RETRIES, IN_LETTERS))
    decide_all(topics, recorded, upto=1_000)
    assert audit(topics, recorded, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    named = {violation["where"] for violation in found["violations"]}
    logs = {str(p) for p in writer.written if not p.topic.endswith(".dlq")}
    assert named == logs
    assert {violation["rule"] for violation in found["violations"]} == {"one writer a log", "key versions"}

    set_aside(topics, map(Position.parse, named), "forged")
    capsys.readouterr()

    assert audit(topics, recorded, "--json") == 0, capsys.readouterr().out
    found = json.loads(capsys.readouterr().out)
    assert set(found["setAside"]) == named
    assert (found["accepted"], found["orders"]["CONFIRMED"]) == (4, 1)
