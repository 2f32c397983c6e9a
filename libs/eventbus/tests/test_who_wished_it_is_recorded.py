"""A command names its author. So do the events that answer it, and what a redrive or a discard changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eventbus import Message, Reactor, Retryable
from eventbus.admin import Discard, Redrive
from eventbus.cli.writer import OPERATOR, operator
from eventbus.headers import headers_of
from eventbus.model.messages import Author, Envelope
from eventbus.model.record import Raw
from parcels.messages import CourierNoted, SendParcel
from testbed.bench import LOG, REACTOR, RETRY, Bench, Life, sent, weighed

ANNA = Author("api_key", "key:anna")
COMMANDED: Reactor[Life] = replace(
    REACTOR,
    inputs=(*REACTOR.inputs, SendParcel),
    decide=lambda message, life: (
        [CourierNoted(parcel_id=message.key, note="sent")]
        if isinstance(message, SendParcel)
        else REACTOR.decide(message, life)
    ),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, COMMANDED)


def written_by(bench: Bench, message: Message, author: Author | None) -> Raw:
    """The next record of the message's topic, from ``author``."""
    raw = bench.raw(message)
    bench.inputs.append(raw)
    envelope = Envelope.from_outside(
        message.stamp(bench.now), raw.topic, 0, time=bench.now, source="/test", author=author
    )
    return raw._replace(headers=headers_of(envelope))


def authors(bench: Bench, topic: str) -> list[Author | None]:
    return [bench.codec.decode(record).author for record in bench.topic(topic)]


def command(key: str) -> SendParcel:
    return SendParcel(parcel_id=key, sender="anne")


def test_the_events_that_answer_a_command_name_its_author(bench: Bench) -> None:
    bench.read([written_by(bench, command("a"), ANNA), written_by(bench, command("b"), None)])
    assert authors(bench, LOG) == [ANNA, None]


def test_what_an_event_leads_to_is_nobodys_wish(bench: Bench) -> None:
    bench.read([written_by(bench, weighed("a"), ANNA)])
    assert authors(bench, LOG) == [None]


@pytest.mark.parametrize("header", [b"", b"x" * 5_000])
def test_an_author_without_a_usable_name_is_none(bench: Bench, header: bytes) -> None:
    raw = written_by(bench, command("a"), ANNA)
    bench.read([raw._replace(headers=[(n, header if n == "ce_authid" else v) for n, v in raw.headers])])
    assert authors(bench, LOG) == [None]


def test_a_retry_does_not_forget_the_author(bench: Bench) -> None:
    bench.feed(sent("a"))
    bench.answer("a", Retryable("away"))
    bench.read([written_by(bench, command("a"), ANNA)])
    bench.take_over()
    bench.wait(1_000)
    bench.answer("a")
    assert authors(bench, LOG) == [None, ANNA]


@pytest.mark.parametrize(
    ("wish", "states"),
    [
        (Redrive(message_key="a"), {"REDRIVEN": "anna@ops", "RESOLVED": "anna@ops"}),
        (Discard(message_key="a"), {"DISCARDED": "anna@ops"}),
    ],
)
def test_the_retry_topic_says_who_redrove_or_discarded(
    bench: Bench, wish: Message, states: dict[str, str]
) -> None:
    bench.feed(sent("a"))
    for _ in range(3):
        bench.answer("a", Retryable("away"))
        bench.wait(60_000)
    bench.read([written_by(bench, wish, Author("user", "anna@ops"))])
    bench.take_over()
    if bench.waits("a"):
        bench.wait(60_000)
        bench.answer("a")
    said = {
        record.header("__eventbus.retry.state"): record.header("__eventbus.retry.by")
        for record in bench.topic(RETRY)
        if record.header("__eventbus.retry.by")
    }
    assert said == states


def test_the_operator_is_named_by_the_environment_or_else_by_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(OPERATOR, " anna ")
    assert operator() == Author("user", "anna")
    monkeypatch.delenv(OPERATOR)
    assert operator().id.count("@") == 1
