"""A search finds all that has to do with a key, wherever it stands and whenever it came, and reads little else."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.causes.answer import Question, Why, answered
from eventbus.causes.search import Budget
from eventbus.causes.source import Exhausted
from eventbus.causes.spans import Span
from eventbus.codec import Codec
from eventbus.model.record import Raw
from eventbus.retry.parked import State
from eventbus.settings import Settings
from testbed.topics import T0, MemoryTopics

CODEC = Codec("parcels")
HOUR = 3_600_000
SHOP = {
    "order": ("order.commands", "payment.events", "inventory.events"),
    "payment": ("order.events",),
    "inventory": ("order.events", "inventory.answers", "stock.commands"),
    "notification": ("order.events",),
}
NOW = T0 + 48 * HOUR


def shop() -> MemoryTopics:
    return MemoryTopics(SHOP, "stock.events", "notification.events")


def tell(topics: MemoryTopics, key: str, *moments: int, budget: Budget | None = None) -> Why:
    """Ask about a key of which something is known to have happened at these ms after T0 (none: at any time)."""
    spans = [Span(T0 + at - 1_000, T0 + at + 1_000) for at in moments] or [Span(0, NOW)]
    return answered(topics, CODEC, Question(key, spans, NOW), budget or Budget(1_000_000))


def places(found: Why) -> list[str]:
    """The tree: a line for each record, indented by its depth."""
    return ["  " * node.depth + node.link.position.topic for node in found.nodes]


def one_order(topics: MemoryTopics, key: str = "o1", at: int = 0, products: int = 2) -> dict[str, Raw]:
    """An order with a payment and a reservation, each step 100 ms after the one before."""
    step = itertools.count(at, 100)
    command = topics.put("order.commands", key, at=next(step))
    created = topics.put("order.events", key, command, at=next(step), by="order")
    paid = topics.put("payment.events", key, created, at=next(step), by="payment")
    told = topics.put("notification.events", key, created, at=next(step), by="notification")
    answers = []
    begun = next(step)
    started = topics.put("inventory.events", key, created, at=begun, by="inventory")
    for number in range(products):
        product = f"{key}/product {number}"
        asked = topics.put("stock.commands", product, created, at=begun, by="inventory")
        answered_at = next(step)
        topics.put("stock.events", product, asked, at=answered_at, by="inventory")
        answers.append(topics.put("inventory.answers", key, asked, at=answered_at, by="inventory"))
    reserved = topics.put("inventory.events", key, answers[-1], at=next(step), by="inventory")
    confirmed = topics.put("order.events", key, reserved, at=next(step), by="order")
    return {
        "command": command,
        "created": created,
        "paid": paid,
        "told": told,
        "started": started,
        "reserved": reserved,
        "confirmed": confirmed,
    }


ONE_ORDER = [
    "order.commands",
    "  order.events",
    "    payment.events",
    "    notification.events",
    "    inventory.events",
    "    stock.commands",
    "      inventory.answers",
    "      stock.events",
    "    stock.commands",
    "      inventory.answers",
    "        inventory.events",
    "          order.events",
    "      stock.events",
]


def test_it_goes_from_the_command_to_the_last_effect_also_through_records_with_other_keys() -> None:
    topics = shop()
    one_order(topics, "o0")
    one_order(topics, "o1")
    one_order(topics, "o2")
    found = tell(topics, "o1", 100)
    assert sorted(places(found)) == sorted(ONE_ORDER) and not found.why_not_all
    assert not [node.problem for node in found.nodes if node.problem]
    assert {node.link.key.decode() for node in found.nodes} == {"o1", "o1/product 0", "o1/product 1"}


def test_what_messages_led_to_that_were_never_written_stands_below_the_record_before_them() -> None:
    topics = shop()
    for key in ("o0", "o1"):
        command = topics.put("order.commands", key)
        created = topics.put("order.events", key, command, at=100, by="order")
        for topic, about, unwritten in (
            ("stock.events", f"{key}/cup", "stock.commands"),
            ("inventory.events", key, "inventory.answers"),
        ):
            topics.put(
                topic,
                about,
                created,
                at=200,
                by="inventory",
                ce_cause=f"{unwritten}.unwritten-{created.partition}-{created.offset}",
                ce_causationid=created.coordinates,
            )
    found = tell(topics, "o1", 100)
    assert places(found) == ["order.commands", "  order.events", "    inventory.events", "    stock.events"]
    assert not [node.problem for node in found.nodes if node.problem] and not found.why_not_all
    assert {node.link.key.decode() for node in found.nodes} == {"o1", "o1/cup"}


def test_each_record_stands_below_its_cause() -> None:
    topics = shop()
    order = one_order(topics)
    found = tell(topics, "o1")
    path: list[Raw | None] = []
    for node in found.nodes:
        del path[node.depth :]
        link = node.link
        assert (str(path[-1]) if path else None) == (str(link.cause) if link.cause else None)
        path.append(link.position)  # type: ignore[arg-type]
    assert found.nodes[0].link.position == order["command"].position


def test_an_answer_that_comes_after_hours_is_found() -> None:
    topics = shop()
    order = one_order(topics)
    late = topics.put("notification.events", "o1", order["confirmed"], at=7 * HOUR, by="notification")
    found = tell(topics, "o1", 100)
    assert late.position in {node.link.position for node in found.nodes} and not found.why_not_all


def test_reading_ends_once_each_service_has_gone_past() -> None:
    topics = shop()
    one_order(topics)
    for number in range(1, 400):
        one_order(topics, f"later {number}", at=number * 300_000)
    found = tell(topics, "o1", 100)
    assert sorted(places(found)) == sorted(ONE_ORDER) and not found.why_not_all
    assert found.read < 1_200, "of the 5,200 records there are"


def test_a_record_that_a_service_has_not_decided_says_so() -> None:
    topics = shop()
    command = topics.put("order.commands", "o1")
    created = topics.put("order.events", "o1", command, at=100, by="order")
    topics.read_up_to["payment", "order.events"] = created.offset
    found = tell(topics, "o1", 100)
    assert [node.waits_for for node in found.nodes] == [(), ("payment",)]


def test_a_command_that_nobody_has_decided_is_found_though_no_event_tells_of_it() -> None:
    topics = shop()
    one_order(topics)
    cancel = topics.put("order.commands", "o1", at=20 * HOUR)
    topics.read_up_to["order", "order.commands"] = cancel.offset
    found = tell(topics, "o1", 100)
    assert [node.waits_for for node in found.nodes if node.link.position == cancel.position] == [("order",)]
    assert len(found.nodes) == len(ONE_ORDER) + 1


def test_hundreds_of_tries_the_dead_letter_the_redrive_and_what_came_of_it_are_in_the_tree() -> None:
    topics = shop()
    command = topics.put("order.commands", "o1")
    created = topics.put("order.events", "o1", command, at=100, by="order")
    for attempt in range(1, 300):
        topics.park("payment", created, State.WAITING, at=attempt * 60_000, attempt=attempt)
    topics.park("payment", created, State.DEAD, at=6 * HOUR, attempt=300)
    letter = topics.bury("payment", created, at=6 * HOUR)
    wish = topics.put("payment.admin", "o1", at=30 * HOUR - 50, by="operator")
    topics.park("payment", created, State.REDRIVEN, at=30 * HOUR, attempt=300)
    topics.park("payment", created, State.RESOLVED, at=31 * HOUR, attempt=301)
    paid = topics.put("payment.events", "o1", created, at=31 * HOUR, by="payment")
    last = topics.put("order.events", "o1", paid, at=31 * HOUR + 40, by="order")
    for number in range(1, 50):
        one_order(topics, f"later {number}", at=number * 600_000)

    found = tell(topics, "o1", 100)
    positions = [node.link.position for node in found.nodes]
    assert not found.why_not_all
    assert {letter.position, wish.position, paid.position, last.position} < set(positions)
    failures = [node.link.failure for node in found.nodes if node.link.failure]
    assert [failure.state for failure in failures].count("WAITING") == 299
    assert {failure.state for failure in failures} == {
        "WAITING",
        "DEAD",
        "DEAD LETTER",
        "REDRIVEN",
        "RESOLVED",
    }
    assert all(node.depth == 2 for node in found.nodes if node.link.failure)


def test_compaction_leaves_the_last_try_only_and_what_came_of_it_is_found() -> None:
    topics = shop()
    created = topics.put("order.events", "o1", at=100, by="order")
    one_order(topics, "later", at=10_000)
    topics.park("payment", created, State.RESOLVED, at=31 * HOUR, attempt=301)
    paid = topics.put("payment.events", "o1", created, at=31 * HOUR, by="payment")
    assert paid.position in {node.link.position for node in tell(topics, "o1", 100).nodes}


def test_an_order_of_a_thousand_lines_is_found_whole() -> None:
    topics = shop()
    one_order(topics, "o1", products=1_000)
    found = tell(topics, "o1", 100)
    assert len(found.nodes) == 7 + 3 * 1_000 and not found.why_not_all
    assert found.read < 8 * len(found.nodes)


def test_a_record_set_aside_has_the_skip_below_it() -> None:
    topics = shop()
    order = one_order(topics)
    for number in range(3):
        place = f"order.events-0-{number + 90}" if number else order["created"].coordinates
        topics.put_raw(Raw("eventbus.skips", 0, 0, place.encode(), b"x", [], T0 + 9 * HOUR))
    skips = [node for node in tell(topics, "o1", 100).nodes if node.link.position.topic == "eventbus.skips"]
    assert [(node.link.type, node.link.cause) for node in skips] == [("Skip", order["created"].position)]


def test_a_deadline_is_named_as_the_cause() -> None:
    topics = shop()
    one_order(topics)
    topics.put("order.events", "o1", f"order.events.deadline-3-{T0 + 900_000}", at=900_005, by="order")
    found = tell(topics, "o1")
    last = list(found.rows(Settings()))[-1]
    assert len(found.nodes) == len(ONE_ORDER) + 1 and not any(node.problem for node in found.nodes)
    assert (last["depth"], last["cause"], last["deadline"]) == (0, None, "2027-01-15T08:15:00.000Z")


def test_of_a_product_the_orders_are_shown_that_led_to_its_records_and_nothing_else_of_them() -> None:
    topics = shop()
    one_order(topics, "o1")
    found = tell(topics, "o1/product 1")
    assert places(found) == [
        "order.commands",
        "  order.events",
        "    stock.commands",
        "      inventory.answers",
        "        inventory.events",
        "          order.events",
        "      stock.events",
    ]


@pytest.mark.parametrize("old", [True, False], ids=["only old names", "only new names"])
def test_headers_of_all_times_are_understood(old: bool) -> None:
    topics = shop()
    command = topics.put("order.commands", "o1", ce_correlationid=None, correlationid="c")

    def written(cause: Raw) -> dict[str, Any]:
        if not old:
            return {"ce_correlationid": "c"}
        gone = dict.fromkeys(("ce_cause", "ce_correlationid", "ce_causationid"))
        return {**gone, "cause": cause.coordinates, "correlationid": "c"}

    created = topics.put("order.events", "o1", command, at=100, by="order", **written(command))
    topics.put("stock.commands", "cup", created, at=100, by="inventory", **written(created))
    found = tell(topics, "o1", 100)
    assert places(found) == ["order.commands", "  order.events", "    stock.commands"]
    assert not [node.problem for node in found.nodes if node.problem]


def test_a_command_without_any_header_is_the_cause_of_what_followed() -> None:
    topics = shop()
    bare = topics.put_raw(
        Raw("order.commands", topics.put("order.commands", "o1").partition, 0, b"o1", b"", [], T0)
    )
    created = topics.put(
        "order.events",
        "o1",
        bare,
        at=100,
        by="order",
        ce_correlationid=bare.coordinates,
        ce_causationid=bare.coordinates,
    )
    topics.put("stock.commands", "cup", created, at=100, by="inventory")
    found = tell(topics, "o1", 100)
    assert places(found)[-2:] == ["  order.events", "    stock.commands"]
    assert not [node.problem for node in found.nodes if node.problem]


# Limits


def test_when_the_time_is_over_it_gives_what_it_has_and_says_so() -> None:
    topics = shop()
    one_order(topics)
    topics.patience = 20
    found = tell(topics, "o1", 100)
    assert 0 < len(found.nodes) <= len(ONE_ORDER) and found.why_not_all == "the time limit of 5 s was reached"


def test_when_the_time_is_over_before_the_topics_are_known_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topics = shop()

    def late() -> dict[str, int]:
        raise Exhausted("the time limit of 0.1 s was reached")

    monkeypatch.setattr(topics, "topics", late)
    found = tell(topics, "o1")
    assert not found.nodes and found.why_not_all == "the time limit of 0.1 s was reached"


def test_it_reads_and_holds_no_more_than_it_may() -> None:
    topics = shop()
    one_order(topics, products=1_000)
    found = tell(topics, "o1", budget=Budget(records=700))
    assert found.read == 701 and found.why_not_all == "700 records were read"
    found = tell(topics, "o1", budget=Budget(records=100_000, found=500))
    assert len(found.nodes) == 500 and found.why_not_all == "500 records were found"


def test_a_correlation_id_that_thousands_of_orders_share_brings_none_of_them_in() -> None:
    topics = shop()
    for number in range(2_000):
        command = topics.put("order.commands", f"o{number}", at=number, ce_correlationid="import of May")
        topics.put("order.events", f"o{number}", command, at=number + 100, by="order")
    found = tell(topics, "o7", 107)
    assert places(found) == ["order.commands", "  order.events"] and not found.why_not_all


READERS = {"x.events": ("a", "b"), "y.events": ("b",), "z.events": ()}


@given(st.data())
def test_whatever_led_to_whatever_all_of_it_is_found_and_nothing_else(data: st.DataObject) -> None:
    """Trees of random shape. Each service answers the records of a partition in their order, each at any time after
    it, or not at all, with an event of the order's key and any others."""
    topics = MemoryTopics({"a": ("x.events",), "b": ("x.events", "y.events")}, "z.events")
    undecided = [(key, topics.put("x.events", key)) for key in ("k", "other")]
    expected = {key: {raw.position} for key, raw in undecided}
    clocks: defaultdict[tuple[str, str, int], int] = defaultdict(int)
    for _ in range(data.draw(st.integers(0, 25))):
        if not undecided:
            break
        key, cause = undecided.pop(0)
        for service in READERS[cause.topic]:
            clock = (service, cause.topic, cause.partition)
            delay = data.draw(st.sampled_from([0, 40, 4_000, 70_000, 2 * HOUR]))
            clocks[clock] = max(clocks[clock], cause.timestamp - T0 + delay)
            names = data.draw(st.none() | st.lists(st.sampled_from(sorted(READERS)), max_size=3))
            others = [(name, data.draw(st.sampled_from("pqrs"))) for name in names or ()]
            for topic, of in [("y.events", key), *others] if names is not None else ():
                raw = topics.put(topic, of, cause, at=clocks[clock], by=service)
                expected[key].add(raw.position)
                undecided.append((key, raw))
    for key, positions in expected.items():
        found = tell(topics, key, 0)
        assert {node.link.position for node in found.nodes} == positions and not found.why_not_all
