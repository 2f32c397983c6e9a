"""``eventbus why`` and ``GET /orders/{id}/why`` on real topics: all that has to do with an order, and its proof."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from eventbus.causes.links import Link, link_of
from eventbus.cli import main
from eventbus.kafka.records import raw_of
from eventbus.kafka.topics import create as create_topics
from eventbus.model.places import Position
from eventbus.model.record import Raw
from eventbus.settings import Settings
from schemas import AdjustStock
from tests.integration.history import Shop
from tests.integration.operator import Operator, Output
from tests.integration.orders import create, order_ids
from tests.support.producing import write_compressed
from tests.support.system import SERVICES, System
from tests.support.waiting import eventually
from tools.wiring import topics

PRODUCTS = ("cup", "pot", "tea", "jug")
Row = dict[str, Any]


@dataclass
class Story:
    """What happened to a shop: an order that was confirmed and cancelled, one that needed several tries, others."""

    shop: Shop
    cancelled: str
    flaky: str
    other: str

    @property
    def system(self) -> System:
        return self.shop.system


@pytest.fixture(scope="module")
def story(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    system = System(kafka, tmp_path_factory.mktemp("why"))
    shop = Shop(system)
    shop.services = {name: system.service(name, EVENTBUS_RETRY_BACKOFF="0.05") for name in SERVICES}
    shop.start()
    system.topics.send(*(AdjustStock(product_id=p, quantity=1_000, reason="delivery") for p in PRODUCTS))
    items = [{"productId": product, "quantity": 1, "unitPrice": "1"} for product in PRODUCTS]
    cancelled, other = (shop.order("CONFIRMED", items=items) for _ in range(2))
    flaky = shop.order("CONFIRMED", paymentMethod="tok_flaky")
    shop.wait_settled()
    assert shop["order"].post(f"/orders/{cancelled}/cancel").status_code == 202
    shop.ends[cancelled] = "CANCELLED"
    shop.wait_quiet()
    yield Story(shop, cancelled, flaky, other)
    system.close()


class CommandLine:
    """Runs ``eventbus why`` in this process."""

    def __init__(self, system: System, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.env = Operator(system, {}).env
        self._patch, self._capsys = patch, capsys

    def run(self, *words: str, code: int = 0) -> Output:
        """Run it; it is to end with this code."""
        for name, value in self.env.items():
            self._patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(("why", *words))
        printed = self._capsys.readouterr()
        output = Output(printed.out, printed.err, int(ended.value.code or 0))
        assert output.code == code, output
        return output

    def rows(self, *words: str) -> list[Row]:
        """The records that it finds; all of them."""
        found = json.loads(self.run(*words, "--json").out)
        assert found["complete"]
        rows: list[Row] = found["records"]
        return rows


@pytest.fixture
def why(story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(story.system, monkeypatch, capsys)


def positions(rows: list[Row]) -> set[Position]:
    found = {Position(row["topic"], row["partition"], row["offset"]) for row in rows}
    assert len(found) == len(rows)
    return found


def all_links(system: System) -> list[Link]:
    """What every record of every topic says of its causes."""
    names = {topic.name for topic in topics()} - {"eventbus.skips"}
    return [link_of(raw, lambda _: "") for name in sorted(names) for raw in system.topics.read(name)]


def followed_from(system: System, key: str) -> set[Position]:
    """By a look at everything: where the records of a key stand, and all that they led to."""
    links = all_links(system)
    found = {link.position for link in links if link.key == key.encode()}
    while True:
        more = {link.position for link in links if link.cause in found} - found
        if not more:
            return found
        found |= more


def test_it_is_all_that_followed_over_the_topics_of_all_services(story: Story, why: CommandLine) -> None:
    rows = why.rows(story.cancelled)
    assert positions(rows) == followed_from(story.system, story.cancelled)
    assert not [row for row in rows if row.get("problem") or row.get("waitsFor")]
    roots = [row["type"] for row in rows if row["depth"] == 0]
    assert roots == ["CreateOrder", "CancelOrder"]
    types = [row["type"] for row in rows]
    assert types.count("StockReserved") == types.count("StockReleased") == len(PRODUCTS)
    assert {"PaymentRefunded", "InventoryReleased", "NotificationSent", "OrderReleased"} < set(types)
    assert {row["service"] for row in rows} >= {"order", "payment", "inventory", "notification"}


def test_http_tells_the_same_as_the_command_line(story: Story, why: CommandLine) -> None:
    for order_id in (story.cancelled, story.flaky, story.other):
        answer = story.shop["order"].get(f"/orders/{order_id}/why")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["complete"], body["missing"]) == (True, None)
        assert body["records"] == why.rows(order_id)
    assert story.shop["order"].get(f"/orders/{order_ids(1)[0]}/why").status_code == 404


def test_tries_that_failed_are_in_the_tree(story: Story, why: CommandLine) -> None:
    rows = why.rows(story.flaky)
    failed = [row for row in rows if "failed" in row]
    assert [row["failed"]["state"] for row in failed][-1] == "RESOLVED" and len(failed) >= 2
    assert {(row["type"], row["topic"]) for row in failed} == {("OrderCreated", "payment.retry")}
    assert all(row["failed"]["error"] for row in failed[:-1])
    assert positions(rows) == followed_from(story.system, story.flaky)


def test_of_a_product_it_shows_the_orders_that_moved_it(story: Story, why: CommandLine) -> None:
    rows = why.rows("jug")
    assert followed_from(story.system, "jug") <= positions(rows)
    keys = {row["key"] for row in rows if row["type"] == "CreateOrder"}
    assert keys == {story.cancelled, story.other}


def test_people_see_a_tree(story: Story, why: CommandLine) -> None:
    lines = why.run(story.cancelled, "--since", "1h").out.splitlines()
    assert lines[0].startswith("CreateOrder  order.commands-") and lines[1].startswith("└─ OrderCreated  ")
    assert len(lines) == len(followed_from(story.system, story.cancelled))
    assert any(line.startswith("CancelOrder  ") for line in lines)


# The lines for kcat


def printed_by_kcat(line: str) -> Row:
    done = subprocess.run(line, shell=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (one,) = done.stdout.splitlines()
    found: Row = json.loads(one.decode("utf-8", "replace"))  # the body is Avro, so not all of it is text
    return found


def as_kcat_would(consumer: Consumer, line: str) -> Row:
    """What kcat prints for such a line, by its manual."""
    words = shlex.split(line)
    options = dict(zip(words[5::2], words[6::2], strict=True))
    assert words[:5] == ["kcat", "-C", "-q", "-e", "-J"] and options["-c"] == "1"
    consumer.assign([TopicPartition(options["-t"], int(options["-p"]), int(options["-o"]))])
    [record] = consumer.consume(1, 30)
    raw = raw_of(record, "")
    headers = [text for name, value in raw.headers for text in (name, (value or b"").decode())]
    return {"topic": raw.topic, "partition": raw.partition, "offset": raw.offset, "headers": headers}


def check_line(story: Story, row: Row, printed: Row, records: dict[Position, Raw]) -> None:
    place = Position(row["topic"], row["partition"], row["offset"])
    assert printed["topic"] == story.system.settings.topic(place.topic)
    assert (printed["partition"], printed["offset"]) == place[1:]
    headers = [text for name, value in records[place].headers for text in (name, (value or b"").decode())]
    assert printed["headers"] == headers


def test_each_line_prints_that_very_record(story: Story, why: CommandLine) -> None:
    every = why.rows(story.cancelled) + why.rows(story.flaky)
    rows = list({(row["topic"], row["type"]): row for row in every}.values())
    names = {row["topic"] for row in rows}
    records = {raw.position: raw for name in names for raw in story.system.topics.read(name)}
    servers = story.system.settings.bootstrap_servers
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "lines", "enable.auto.commit": False})
    try:
        for row in rows:
            check_line(story, row, as_kcat_would(consumer, row["kcat"]), records)
    finally:
        consumer.close()
    if shutil.which("kcat") is None:
        print(
            "kcat is not installed here: its lines were carried out by another client only", file=sys.stderr
        )
        return
    with ThreadPoolExecutor(4) as several:
        for row, printed in zip(
            rows, several.map(printed_by_kcat, [row["kcat"] for row in rows]), strict=True
        ):
            check_line(story, row, printed, records)
            assert printed["key"] == (records[Position(*place_of(row))].key or b"").decode()


def place_of(row: Row) -> tuple[str, int, int]:
    return row["topic"], row["partition"], row["offset"]


# What others may do to topics


def test_what_is_aborted_or_still_open_is_not_in_it_and_holds_up_nothing(
    story: Story, why: CommandLine
) -> None:
    before = positions(why.rows(story.other))
    settings, cause = story.system.settings, min(before)
    name = settings.topic("notification.events")
    partition = story.system.topics.partition(story.other)
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "transactional.id": settings.topic("forger"),
            "log_level": 2,
        }
    )
    producer.init_transactions(10)
    for _ in range(2):
        producer.begin_transaction()
        forged: dict[str, str | bytes | None] = {"ce_cause": str(cause), "ce_type": "NotificationSent"}
        producer.produce(name, b"", story.other.encode(), partition, headers=forged)
        producer.flush(10)
        assert positions(why.rows(story.other)) == before
        producer.abort_transaction(10)
        assert positions(why.rows(story.other)) == before


def test_a_batch_that_cannot_be_read_and_a_forged_time_hide_nothing(story: Story, why: CommandLine) -> None:
    (order_id,) = order_ids(1)
    client = story.system.topics
    partition = client.partition(order_id)
    write_compressed(client, "notification.events", partition, [bytes(150_000_000)])
    producer = Producer({"bootstrap.servers": story.system.settings.bootstrap_servers})
    soon = time.time_ns() // 1_000_000 + 1_800_000
    for topic in ("order.commands", "notification.events"):
        producer.produce(story.system.settings.topic(topic), b"x", b"k", partition, timestamp=soon)
    assert producer.flush(10) == 0
    client.send(create(order_id))
    orders = story.shop["order"]
    eventually(
        lambda: orders.get(f"/orders/{order_id}").json().get("status") == "CONFIRMED", "it is confirmed"
    )
    story.shop.ends[order_id] = "CONFIRMED"
    story.system.wait_consumed(*SERVICES)
    body = orders.get(f"/orders/{order_id}/why").json()
    types = [row["type"] for row in body["records"]]
    assert types[0] == "CreateOrder" and {"OrderConfirmed", "StockReserved", "NotificationSent"} < set(types)
    assert body["records"] == why.rows(order_id)


def test_a_command_that_is_no_message_and_its_dead_letter_are_found(story: Story, why: CommandLine) -> None:
    client, (key,) = story.system.topics, order_ids(1)
    wrong = (client.partition(key) + 1) % 3
    place = client.send_bytes("order.commands", wrong, key.encode(), b"junk", [])
    eventually(
        lambda: any(raw.key == key.encode() for raw in client.read("order.dlq")), "it is a dead letter"
    )
    command, *letters = why.rows(key)
    assert place_of(command) == place and command["problem"].startswith("its key belongs to partition")
    assert "DEAD LETTER" in {letter["failed"]["state"] for letter in letters}
    assert all(letter["cause"] == str(place) for letter in letters)


def test_an_environment_whose_prefix_goes_on_is_another_one(story: Story, why: CommandLine) -> None:
    before = positions(why.rows(story.other))
    own = story.system.settings
    other = Settings(
        bootstrap_servers=own.bootstrap_servers, topic_prefix=f"{own.topic_prefix}anne.", partitions=1
    )
    create_topics(
        other, [topic for topic in topics() if topic.name in ("order.commands", "order.retry", "order.dlq")]
    )
    producer = Producer({"bootstrap.servers": own.bootstrap_servers})
    producer.produce(other.topic("order.commands"), b"x", story.other.encode())
    assert producer.flush(10) == 0
    assert positions(why.rows(story.other)) == before


def test_a_search_that_finds_nothing_or_ends_early_says_so(story: Story, why: CommandLine) -> None:
    ended = why.run("nobody", code=1)
    assert ended.err == "No record of nobody was found.\n" and not ended.out
    ended = why.run(story.other, "--seconds", "0.1", "--json", code=4)
    assert "the time limit of 0.1 s was reached" in ended.err
    assert json.loads(ended.out)["complete"] is False
    assert "--since soon is no time" in why.run(story.other, "--since", "soon", code=2).err
    why.env["EVENTBUS_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    ended = why.run(story.other, code=3)
    assert ended.err.startswith("Kafka does not answer at 127.0.0.1:1") and len(ended.err.splitlines()) == 1


def test_when_the_beginning_is_deleted_the_rest_is_shown_and_says_what_is_missing(
    story: Story, why: CommandLine
) -> None:
    rows = why.rows(story.flaky)
    command = rows[0]
    settings = story.system.settings
    upto = TopicPartition(settings.topic("order.commands"), command["partition"], command["offset"] + 1)
    for future in story.system.topics.admin.delete_records([upto]).values():
        future.result(10)
    left = why.rows(story.flaky)
    assert positions(left) == positions(rows[1:])
    missing = f"order.commands-{command['partition']}-{command['offset']}"
    assert left[0]["problem"] == f"its cause {missing} is not there: deleted, or it never was"
    assert story.shop["order"].get(f"/orders/{story.flaky}/why").json()["records"] == left
