"""One record that anybody may write stops no service: it is a dead letter, counted and passed over, or an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from msgspec import structs

from eventbus.headers import headers_of
from eventbus.kafka.records import partition_of
from eventbus.model.messages import Envelope
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.retry.parked import RETRY, Parked, State
from schemas import OrderPaid, ReserveStock
from tests.integration.history import Shop
from tests.integration.operator import Operator
from tests.integration.orders import create, order_ids
from tests.integration.test_poison_becomes_a_dead_letter import decided, letter_of, letters
from tests.support.producing import write_compressed
from tests.support.system import System
from tests.support.topic_client import TopicClient
from tests.support.waiting import eventually
from verification.hostile.record import Hostile
from verification.hostile.writing import Writer

DIGITS = b"9" * 5_000


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    system = System(kafka, tmp_path_factory.mktemp("hostile"))
    shop = Shop(system)
    shop.start()
    system.stock(shop["inventory"], 1000, "cup")
    yield shop
    system.close()


@pytest.fixture(autouse=True)
def unharmed(shop: Shop) -> Iterator[None]:
    """After each test every service is the same process as before, and an order goes through."""
    yield
    for process in shop.services.values():
        assert process.alive and process.is_ready(), process.tail()
    shop.order("CONFIRMED")
    shop.wait_settled()


def written_by_hand(topics: TopicClient, order_id: str, extra: Headers) -> Position:
    """A valid CreateOrder with further headers."""
    command = create(order_id)
    return topics.send_bytes(
        "order.commands",
        topics.partition(order_id),
        order_id.encode(),
        topics.codec.encode(command),
        [("ce_type", b"CreateOrder"), *extra],
    )


def test_c1a_a_key_version_of_5000_digits_counts_as_none(shop: Shop) -> None:
    first, second = order_ids(2)

    written_by_hand(shop.system.topics, first, [("keyversion", DIGITS), ("cause", b"a-1-" + DIGITS)])
    written_by_hand(shop.system.topics, second, [("ce_time", b"0001-01-01T00:00:00"), ("ce_time", DIGITS)])

    for order_id in (first, second):
        view = shop["order"].get(f"/orders/{order_id}", params={"wait": 10}).json()
        assert view["status"] == "CONFIRMED"


def test_c1b_a_header_name_that_is_no_text_makes_a_dead_letter(shop: Shop) -> None:
    topics = shop.system.topics
    (order_id,) = order_ids(1)
    value, key = topics.codec.encode(create(order_id)), order_id.encode()
    names = ((b"\xff\xfe", b"v"), (b"ce_type", b"CreateOrder"))
    record = Hostile("header name", "order.commands", topics.partition(order_id), key, value, names)

    writer = Writer(topics.settings)
    writer.write([record])
    (place,) = writer.written

    letter = letter_of(topics, "order", place)
    assert "not UTF-8" in letter.about["message"]
    assert (letter.raw.key, letter.raw.value) == (key, value)
    assert shop["order"].get(f"/orders/{order_id}").status_code == 404


def test_c2a_twelve_megabytes_of_zeros_make_a_dead_letter_of_what_fits(shop: Shop) -> None:
    topics = shop.system.topics
    place = write_compressed(topics, "order.commands", 1, [bytes(12_000_000)])

    letter = letter_of(topics, "order", place)
    assert letter.raw.value and set(letter.raw.value) == {0} and 7_000_000 < len(letter.raw.value) < 9_000_000
    assert "12000000" in letter.about["truncated"]
    assert "EVENTBUS_MAX_INPUT_BYTES" in letter.about["message"]
    shop.system.wait_consumed("order")
    operator = Operator(shop.system, {})
    assert f"the whole record stands at {place}" in operator.dlq("show", str(place)).out
    redrive = operator.dlq("redrive", "--service", "order", "--state", "BURIED", "--yes", code=4)
    assert f"the whole record stands at {place}" in redrive.out


@pytest.mark.parametrize("values", [[bytes(150_000_000)], [bytes(40_000_000)] * 4], ids=["one", "four"])
def test_c2a_a_batch_that_cannot_be_decompressed_is_passed_over(shop: Shop, values: list[bytes]) -> None:
    """Five kilobytes on the wire, more than a client may unpack: it would stand before them for ever."""
    topics = shop.system.topics
    place = write_compressed(topics, "order.commands", 2, values)
    behind = next(i for i in order_ids(60) if topics.partition(i) == 2)
    topics.send(create(behind))

    letter = letter_of(topics, "order", place)
    assert "cannot be read" in letter.about["message"]
    assert shop["order"].get(f"/orders/{behind}", params={"wait": 10}).json()["status"] == "CONFIRMED"
    shop.system.wait_consumed("order")


def test_c2b_outputs_are_measured_with_key_and_headers_before_the_transaction(shop: Shop) -> None:
    topics = shop.system.topics
    huge = ReserveStock(product_id="cup", order_id="o" * 750_000, quantity=1)
    aborted = shop["inventory"].metric("eventbus_transactions_aborted_total")

    (position,) = topics.send(huge)

    assert (
        "the key of StockAnswered has 750000 bytes"
        in letter_of(topics, "inventory", position).about["message"]
    )
    assert shop["inventory"].metric("eventbus_transactions_aborted_total") == aborted
    operator = shop["inventory"].get("/dlq/preview", params={"key": "cup", "action": "discard"})
    assert [m["verdict"] for m in operator.json()["messages"]][:1] == ["discarded"]
    discard(shop.system, "inventory", "cup")


def test_c3_what_is_copied_on_has_a_limit(shop: Shop) -> None:
    topics = shop.system.topics
    (order_id,) = order_ids(1)
    long: Headers = [
        ("ce_correlationid", b"c" * 400_000),
        ("traceparent", b"t" * 400_000),
        ("ce_id", b"i" * 201),
    ]

    position = written_by_hand(topics, order_id, long)

    shop["order"].get(f"/orders/{order_id}", params={"wait": 10})
    events = decided(topics, "order.events", order_id)
    assert events and {e.correlation_id for e in events} == {str(position)}
    assert {e.traceparent for e in events} == {None}
    for topic in ("order.events", "stock.commands", "inventory.events"):
        assert max(raw.size for raw in topics.read(topic) if raw.extension("cause")) < 10_000
    counted = {n: shop["order"].metric("eventbus_headers_left_out_total", header=n) for n, _ in long}
    assert counted == {"ce_correlationid": 1, "traceparent": 1, "ce_id": 1}


def test_c4_a_forged_event_of_a_later_version_is_passed_over_at_the_restart(shop: Shop) -> None:
    topics, order = shop.system.topics, shop["order"]
    order_id = shop.order("CONFIRMED")
    shop.wait_settled()
    forge(topics, OrderPaid(order_id=order_id, amount=1, currency="GBP"), 99)

    order.stop()
    order.start().wait_ready()

    assert order.metric("eventbus_foreign_records_total", log="order.events") >= 1
    assert "claims to be event 99" in order.log.read_text()
    assert order.get(f"/orders/{order_id}").json()["status"] == "CONFIRMED"


def test_c4_forged_records_of_a_retry_topic_are_passed_over(shop: Shop) -> None:
    topics, watched = shop.system.topics, "notification.retry"
    (order_id,) = order_ids(1)
    raw = Raw("order.events", topics.partition(order_id), 7, order_id.encode(), b"x", [], 0)
    sound = Parked(raw, "notification.events", order_id, 1, State.WAITING, 1, 0, 0)

    def wrong(name: str, value: bytes) -> Headers:
        return [(n, value if n == RETRY + name else v) for n, v in sound.headers()]

    forged = [
        wrong("due", b"9" * 30),
        wrong("since", b"9" * 18),
        wrong("sequence", DIGITS),
        wrong("log", b"nobody.events"),
        wrong("state", b"ASLEEP"),
        [],
    ]
    for headers in forged:
        topics.send_bytes(watched, raw.partition, raw.coordinates.encode(), b"x", headers)
    topics.send_bytes(watched, raw.partition, b"elsewhere-0-0", b"x", sound.headers())

    def counted(name: str) -> float:
        return shop[name].metric("eventbus_foreign_records_total", log=watched)

    eventually(lambda: counted("order") == len(forged), "order, which watches the topic, has counted them")
    for name in ("notification", "order"):
        shop[name].stop()
        shop[name].start().wait_ready()
    # Notification led the partition until now; and only it knows which logs it has.
    assert counted("notification") == len(forged) + 1


def test_h1_keys_are_compared_as_bytes(shop: Shop) -> None:
    topics = shop.system.topics
    command = replace(create("x"), order_id="\ufffd\ufffd")
    key = b"\xff\xff"
    assert key.decode("utf-8", "replace") == command.order_id
    partition = partition_of(key, topics.settings.partitions)

    position = topics.send_bytes("order.commands", partition, key, topics.codec.encode(command), [])

    assert "is not the order_id" in letter_of(topics, "order", position).about["message"]
    assert shop["order"].get("/orders/%EF%BF%BD%EF%BF%BD").status_code == 404


def test_an_event_that_nobody_can_read_stops_its_task_until_it_is_skipped(shop: Shop) -> None:
    topics, order = shop.system.topics, shop["order"]
    order_id = shop.order("CONFIRMED")
    shop.wait_settled()
    version = order.get(f"/orders/{order_id}").json()["version"]
    place = forge(
        topics, OrderPaid(order_id=order_id, amount=1, currency="GBP"), version + 1, b"\0\0\x0f\x42\x40?"
    )

    order.stop()
    order.start()

    def stands() -> bool:
        try:
            answer = order.get("/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == 503 and str(place) in answer.text

    eventually(stands, "the replica says which record stops it")
    assert f"eventbus skip {place.topic} {place.partition} {place.offset}" in order.get("/readyz").text
    assert order.metric("eventbus_tasks_stopped") == 1
    read = order.get(f"/orders/{order_id}")
    assert read.status_code == 503 and str(place) in read.text
    skip(shop.system, place)
    order.wait_ready()
    assert order.get(f"/orders/{order_id}").json()["version"] == version
    assert order.metric("eventbus_tasks_stopped") == 0
    order.stop()
    order.start().wait_ready()
    assert order.get(f"/orders/{order_id}").json()["version"] == version


def test_a_record_that_was_folded_can_be_skipped_and_the_skip_taken_back(shop: Shop) -> None:
    topics, order = shop.system.topics, shop["order"]
    order_id = shop.order("CONFIRMED")
    shop.wait_settled()
    version = order.get(f"/orders/{order_id}").json()["version"]
    order.stop()
    place = forge(topics, OrderPaid(order_id=order_id, amount=1, currency="GBP"), version + 1)
    order.start().wait_ready()
    assert order.get(f"/orders/{order_id}").json()["version"] == version + 1, "a perfect forgery is folded"

    for words, expected in ((), version), (("--undo",), version + 1), ((), version):
        skip(shop.system, place, *words)
        assert order.wait_end() == 1
        order.start().wait_ready()
        assert order.get(f"/orders/{order_id}").json()["version"] == expected


def test_what_parks_nothing_is_a_dead_letter_once_however_often_it_is_read(shop: Shop) -> None:
    topics, order = shop.system.topics, shop["order"]
    position = topics.send_bytes("order.commands", 0, b"k", b"nonsense", [])
    letter_of(topics, "order", position)
    shop.system.wait_consumed("order")
    before = letters(topics, "order")

    order.stop()
    topics.rewind("order")
    order.start().wait_ready()

    shop.system.wait_consumed("order")
    assert letters(topics, "order") == before, "letters() fails on a second one of the same place"


def test_an_input_that_is_skipped_is_neither_decided_nor_even_fetched(system: System) -> None:
    """It may be what ended the process before: a batch that unpacks to more than there is memory."""
    topics = system.topics
    order_id = next(i for i in order_ids(60) if topics.partition(i) == 1)
    place = topics.send_bytes("order.commands", 1, b"k", b"nonsense", [])
    topics.send(create(order_id))
    skip(system, place)

    (order,) = system.start("order")

    eventually(lambda: order.get(f"/orders/{order_id}").status_code == 200, "what comes behind it is decided")
    assert order.metric("eventbus_records_skipped_total") == 0
    assert str(place) not in letters(topics, "order")


def test_what_kafka_refuses_as_too_large_is_a_dead_letter_and_no_loop(system: System) -> None:
    """Somebody made the log with less room than EVENTBUS_MAX_EVENT_BYTES says."""
    topics = system.topics
    topics.configure("order.events", {"max.message.bytes": "3000"})
    order = system.service("order")
    # Both in one partition, and so in one batch to the log: the small one is not to pay for the large one.
    large, small = [i for i in order_ids(60) if topics.partition(i) == 0][:2]
    many = tuple(replace(item, product_id=name) for name in order_ids(200) for item in create(large).items)

    position, _ = topics.send(replace(create(large), items=many), create(small))
    order.start().wait_ready()

    assert "Kafka refused as too large" in letter_of(topics, "order", position).about["message"]
    eventually(lambda: order.get(f"/orders/{small}").status_code == 200, "the other order is there")
    assert order.metric("eventbus_outputs_refused_total") >= 1
    assert order.alive
    system.wait_consumed("order")


def forge(topics: TopicClient, event: OrderPaid, version: int, value: bytes | None = None) -> Position:
    """Write an event as if its leader had: with a cause, and as the event of its key that ``version`` says."""
    partition = topics.partition(event.key)
    now = 1_700_000_000_000
    envelope = Envelope.from_outside(event, event.topic, partition, time=now, source="/order")
    cause = Position("payment.events", partition, 1_000_000 + version)
    headers = headers_of(structs.replace(envelope, cause=str(cause), key_version=version))
    body = topics.codec.encode(event) if value is None else value
    return topics.send_bytes(event.topic, partition, event.key.encode(), body, headers)


def skip(system: System, place: Position, *words: str) -> None:
    operator = Operator(system, {})
    operator.run(
        "skip", place.topic, str(place.partition), str(place.offset), "--reason", "forged", "--yes", *words
    )


def discard(system: System, service: str, key: str) -> None:
    Operator(system, {}).dlq("discard", "--service", service, "--key", key, "--yes")
