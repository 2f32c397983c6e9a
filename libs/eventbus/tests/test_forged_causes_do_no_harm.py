"""What a hostile producer says about causes makes no circle, hides nothing, and is named."""

from __future__ import annotations

import shlex

import pytest

from eventbus.causes.answer import Question, Why, answered
from eventbus.causes.kcat import kcat_line
from eventbus.causes.search import Budget
from eventbus.causes.spans import Span, Spans
from eventbus.causes.topics import own_topics
from eventbus.cli.why import last_of_their_cause, line, print_tree
from eventbus.codec import Codec
from eventbus.kafka.records import partition_of
from eventbus.model.places import Position
from eventbus.model.record import Headers, Raw
from eventbus.settings import Settings
from testbed.topics import T0, MemoryTopics

CODEC = Codec("parcels")
NOW = T0 + 3_600_000


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics({"order": ("order.commands",)}, "order.events", "stock.commands")


def tell(topics: MemoryTopics, key: str = "o1") -> Why:
    return answered(topics, CODEC, Question(key, [Span(0, NOW)], NOW), Budget(1_000_000))


def problems(found: Why) -> list[str]:
    return [node.problem for node in found.nodes if node.problem]


def test_a_record_that_names_itself_as_its_cause_begins_a_tree(topics: MemoryTopics) -> None:
    number = topics.put("order.events", "o1").partition
    topics.put("order.events", "o1", f"order.events-{number}-1", at=1)
    found = tell(topics)
    assert [node.depth for node in found.nodes] == [0, 0]
    assert problems(found) == [
        f"it names order.events-{number}-1 as its cause, which does not stand before it"
    ]


def test_records_that_name_each_other_as_causes_are_all_shown_once(topics: MemoryTopics) -> None:
    number = partition_of(b"o1", 6)
    at = [f"order.commands-{number}-0", f"order.events-{number}-0", f"stock.commands-{number}-0"]
    for topic, cause in zip(
        ("order.commands", "order.events", "stock.commands"), (at[2], at[0], at[1]), strict=True
    ):
        topics.put(topic, "o1", cause)
    found = tell(topics)
    assert [str(node.link.position) for node in found.nodes] == at
    assert [node.depth for node in found.nodes] == [0, 1, 2] and not found.why_not_all


def test_a_chain_of_thousands_of_forged_causes_ends(topics: MemoryTopics) -> None:
    raw = topics.put("order.events", "o1")
    for at in range(1, 5_000):
        raw = topics.put("order.events", "o1", raw, at=at)
    found = tell(topics)
    assert [node.depth for node in found.nodes] == list(range(5_000)) and not found.why_not_all


def test_a_record_that_claims_the_cause_of_another_order_is_named(topics: MemoryTopics) -> None:
    theirs = topics.put("order.commands", "o2")
    topics.put("order.events", "o2", theirs, at=5, by="order")
    forged = topics.put("order.events", "o1", theirs.coordinates, at=9, ce_causationid="guessed")
    found = tell(topics)
    assert [node.link.position for node in found.nodes] == [theirs.position, forged.position]
    assert problems(found) == [
        f"it names 'guessed' as the id of its cause, which has '{theirs.header('ce_id')}'"
    ]
    forged = topics.put("order.events", "o1", theirs.coordinates, at=9)
    assert "its correlation id is not that of its cause" in problems(tell(topics))
    assert forged.position in {node.link.position for node in tell(topics).nodes}


def test_another_orders_tree_is_not_entered_through_a_forged_effect(topics: MemoryTopics) -> None:
    mine = topics.put("order.commands", "o1")
    topics.put("order.events", "o1", mine, at=5, by="order")
    forged = topics.put("order.events", "o2", mine, at=9)
    found = tell(topics, "o2")
    assert [node.link.position for node in found.nodes] == [mine.position, forged.position]


@pytest.mark.parametrize(
    ("cause", "problem"),
    [
        ("nothing", "it names 'nothing' as its cause, which is no place"),
        ("order.commands-0-99999999999999999999", "which is no place"),
        ("order.commands-0--1", "which is no place"),
        ("order.commands-0-9223372036854775807", "is not there: deleted, or it never was"),
        ("order.commands-4000000000-1", "is not there"),
        ("no.such.topic-0-1", "is not there"),
        ("\x1b[31m-0-1", "is not there"),
        ("__consumer_offsets-0-1", "is not there"),
    ],
)
def test_a_cause_that_is_no_record_is_named(topics: MemoryTopics, cause: str, problem: str) -> None:
    topics.put("order.events", "o1", cause)
    found = tell(topics)
    assert len(found.nodes) == 1 and problem in problems(found)[0]


def test_what_retention_deleted_is_named_and_the_rest_is_shown(topics: MemoryTopics) -> None:
    command = topics.put("order.commands", "o1")
    created = topics.put("order.events", "o1", command, at=5, by="order")
    topics.put("stock.commands", "cup", created, at=5, by="order")
    topics.delete(command)
    found = tell(topics)
    assert [node.depth for node in found.nodes] == [0, 1]
    assert problems(found) == [f"its cause {command.coordinates} is not there: deleted, or it never was"]


def test_a_record_in_a_partition_that_is_not_its_keys_is_found_beside_its_cause_and_named(
    topics: MemoryTopics,
) -> None:
    command = topics.put("order.commands", "o1")
    topics.put("order.events", "o1", command, at=5, by="order")
    elsewhere = (command.partition + 1) % 6
    topics.put("order.events", "o1", command, at=6, by="order", partition=elsewhere)
    assert problems(tell(topics)) == [f"its key belongs to partition {command.partition} (murmur2)"]


def test_a_command_in_the_wrong_partition_is_found_by_its_dead_letter(topics: MemoryTopics) -> None:
    command = topics.put("order.commands", "o1", partition=(partition_of(b"o1", 6) + 1) % 6)
    letter = topics.bury("order", command, at=20)
    found = tell(topics)
    assert [node.link.position for node in found.nodes] == [command.position, letter.position]
    assert len(problems(found)) == 1 and "its key belongs to partition" in problems(found)[0]


@pytest.mark.parametrize("topic", ["order.retry", "order.dlq"])
def test_records_that_look_like_failures_and_are_none_are_shown_as_what_they_are(
    topics: MemoryTopics, topic: str
) -> None:
    number = topics.put("order.commands", "o1").partition
    forged: list[Headers] = [
        [("__eventbus.retry.key", b"o1")],
        [("__eventbus.retry.format", b"99"), ("__eventbus.retry.key", b"o1")],
        [("__eventbus.errors.topic", b"t"), ("__eventbus.errors.partition", b"-1")],
    ]
    for headers in forged:
        topics.put_raw(Raw(topic, number, 0, b"o1", b"\xff", headers, T0 + 1))
    found = tell(topics)
    assert len(found.nodes) == 4 and all(node.link.failure is None for node in found.nodes)


HOSTILE = "\x1b]52;c;x\x07 '; rm -rf / #\n└─ OrderConfirmed\u202e"


def test_hostile_text_moves_no_cursor_forges_no_line_and_reaches_no_shell(
    topics: MemoryTopics, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.put("order.events", HOSTILE, HOSTILE, ce_type=HOSTILE * 50, ce_source=HOSTILE)
    rows = list(tell(topics, HOSTILE).rows(Settings()))
    assert len(rows) == 1 and len(rows[0]["type"]) == 200
    print_tree(rows, kcat=True)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2 and "\x1b" not in printed and "\u202e" not in printed
    assert "\\x1b]52" in line(rows[0]) and "rm" not in rows[0]["kcat"]


def test_a_key_that_is_no_text_and_headers_that_are_none_are_shown(topics: MemoryTopics) -> None:
    command = topics.put("order.commands", "o1")
    headers: Headers = [("ce_cause", command.coordinates.encode()), ("ce_type", b"\xff\xfe"), ("ce_id", None)]
    topics.put_raw(Raw("order.events", command.partition, 0, b"\xff\x00", None, headers, T0 + 10))
    topics.put_raw(
        Raw("order.events", command.partition, 0, None, None, headers, T0 + 10, "the name is no UTF-8")
    )
    rows = list(tell(topics).rows(Settings()))
    assert [row["key"] for row in rows] == ["o1", "\\xff\x00", ""]


@pytest.mark.parametrize("servers", ["127.0.0.1:9092", "a:1,b:2", "host'; rm -rf ~ #:1", "$(id):1", ""])
def test_a_kcat_line_has_the_same_words_for_a_shell(servers: str) -> None:
    words = shlex.split(kcat_line(servers, "test.order.events", Position("order.events", 3, 17)))
    assert words[words.index("-b") + 1] == servers
    assert words[0] == "kcat" and words[-8:] == ["-t", "test.order.events", "-p", "3", "-o", "17", "-c", "1"]


# Topics of others


def test_topics_of_other_environments_are_none_of_this_one() -> None:
    def environment(prefix: str) -> dict[str, int]:
        names = ("order.commands", "order.events", "order.events.v1", "order.retry", "order.dlq")
        return {f"{prefix}{name}": 3 for name in names}

    plain, test, deep = environment(""), environment("test."), environment("test.anne.")
    cluster = {**plain, **test, **deep, "__consumer_offsets": 50, "elsewhere": 1}
    assert own_topics(cluster, "") == {**plain, "elsewhere": 1}
    assert own_topics(cluster, "test.") == plain
    assert own_topics(cluster, "test.anne.") == plain


# Spans and drawing


def test_what_was_read_is_not_read_again() -> None:
    wanted = Spans([Span(0, 10), Span(11, 20), Span(40, 50)])
    assert list(wanted) == [Span(0, 20), Span(40, 50)]
    assert list(wanted.without([Span(5, 8), Span(15, 44)])) == [Span(0, 4), Span(9, 14), Span(45, 50)]
    assert list(Spans([Span(0, 1), Span(9, 10)], gap=10)) == [Span(0, 10)]
    assert not Spans([Span(3, 4)]).without([Span(0, 9)])


@pytest.mark.parametrize(
    ("depths", "last"),
    [
        ([], []),
        ([0, 1, 1, 0], [False, False, True, True]),
        ([0, 1, 2, 1, 2, 2], [True, False, True, True, False, True]),
    ],
)
def test_a_branch_ends_at_the_last_effect_of_its_cause(depths: list[int], last: list[bool]) -> None:
    assert last_of_their_cause(depths) == last
