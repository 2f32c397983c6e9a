"""``GET /orders/{orderId}/why``: the records of all services, each with its cause and the line that prints it."""

from __future__ import annotations

from eventbus import Position, Unavailable, Why
from eventbus.causes.links import Failure, Link
from eventbus.causes.tree import Node
from tests.unit.order.memory_bus import NOW, HttpClient, MemoryBus
from tests.unit.order.orders import CREATE


def link(topic: str, offset: int, cause: Position | None = None, failure: Failure | None = None) -> Link:
    place = Position(topic, 3, offset)
    return Link(place, NOW, NOW, b"o1", "OrderCreated", str(place), "order", "c", cause, failure=failure)


def test_each_record_comes_with_its_cause_and_the_line_that_prints_it(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    command = link("order.commands", 17)
    failed = link(
        "order.retry", 2, command.position, Failure("order", "WAITING", 2, NOW + 1_000, "OSError: no")
    )
    nodes = [Node(command, 0, ("order",), ""), Node(failed, 1, (), "forged")]
    bus.told_why = Why("o1", nodes, 9, "the time limit of 5 s was reached", {"order.commands": 6})
    answer = client.get("/orders/o1/why")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["orderId"], body["complete"]) == ("o1", False)
    assert body["missing"] == "the time limit of 5 s was reached"
    first, second = body["records"]
    assert first == {
        "depth": 0,
        "type": "OrderCreated",
        "time": "2023-11-14T22:13:20.000Z",
        "topic": "order.commands",
        "partition": 3,
        "offset": 17,
        "service": "order",
        "key": "o1",
        "cause": None,
        "kcat": "kcat -C -q -e -J -b 127.0.0.1:9092 -t order.commands -p 3 -o 17 -c 1",
        "waitsFor": ["order"],
    }
    assert (second["depth"], second["cause"], second["problem"]) == (1, "order.commands-3-17", "forged")
    assert second["failed"] == {
        "state": "WAITING",
        "attempts": 2,
        "due": "2023-11-14T22:13:21.000Z",
        "error": "OSError: no",
    }


def test_records_are_looked_for_around_the_events_of_the_order_and_now(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    body = client.get("/orders/o1/why").json()
    assert body == {"orderId": "o1", "complete": True, "missing": None, "records": []}
    [question] = bus.asked_why
    assert question.key == "o1"
    assert any(span.since < NOW < span.until for span in question.spans)
    assert any(span.since < question.now <= span.until for span in question.spans)


def test_an_order_that_there_is_not_is_404_and_nothing_is_read(client: HttpClient, bus: MemoryBus) -> None:
    assert client.get("/orders/o1/why").status_code == 404
    assert not bus.asked_why


def test_a_replica_that_answers_enough_such_questions_says_when_to_ask_again(
    client: HttpClient, bus: MemoryBus
) -> None:
    bus.happens(CREATE)
    bus.told_why = Unavailable("this replica reads the topics for 2 such questions at a time: ask again")
    answer = client.get("/orders/o1/why")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
    assert "2 such questions" in answer.json()["detail"]
