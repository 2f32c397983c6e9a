"""A request that comes again leads to nothing: its first answer stands in the log, and is found there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eventbus import RequestId, Retryable
from eventbus.model.record import Raw
from parcels.messages import ParcelWeighed
from testbed.bench import LOG, REACTOR, Bench, lost, sent, weighed

ONCE = replace(REACTOR, remembered_requests=4)
UUID = "5013e32a-78d8-583b-9096-bc5c8a2a3005"
ASKED = RequestId(UUID, "aa")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, ONCE)


def named(bench: Bench, message: ParcelWeighed, request: RequestId | str) -> Raw:
    """The next record of the message's topic, with the id of this request."""
    raw = bench.raw(message)
    bench.inputs.append(raw)
    headers = [(name, value) for name, value in raw.headers if name != "ce_id"]
    return raw._replace(headers=[*headers, ("ce_id", str(request).encode())])


def first(bench: Bench, key: str = "a", request: str = UUID) -> tuple[str, int] | None:
    return bench.store.load(ONCE, key).answer_to(request)


def test_a_repeat_leads_to_nothing_and_the_first_answer_is_found(bench: Bench) -> None:
    bench.feed(weighed("a", 5))
    bench.read([named(bench, weighed("a", 2), ASKED)])
    bench.read([named(bench, weighed("a", 2), ASKED)])
    bench.feed(weighed("a", 1))
    assert bench.story("a") == ("weighed 2", "weighed 5", "weighed 10")
    assert first(bench) == ("aa", 2)
    assert bench.context.offsets.unfinished() == 0


def test_a_repeat_within_one_batch_leads_to_nothing(bench: Bench) -> None:
    bench.read([named(bench, weighed("a", 2), ASKED), named(bench, weighed("a", 2), ASKED)])
    assert bench.story("a") == ("weighed 5",)


def test_another_body_of_the_same_request_leads_to_nothing(bench: Bench) -> None:
    bench.read([named(bench, weighed("a", 2), ASKED)])
    bench.read([named(bench, weighed("a", 5), RequestId(UUID, "bb"))])
    assert bench.story("a") == ("weighed 5",)
    assert first(bench) == ("aa", 1)


def test_what_is_remembered_is_that_of_one_key(bench: Bench) -> None:
    bench.read([named(bench, weighed("a", 2), ASKED), named(bench, weighed("b", 2), ASKED)])
    assert (bench.story("a"), bench.story("b")) == (("weighed 5",), ("weighed 5",))


def test_who_takes_over_knows_it_from_the_log_alone(bench: Bench) -> None:
    bench.read([named(bench, weighed("a", 2), ASKED)])
    (event,) = bench.topic(LOG)
    assert event.header("ce_causationid") == str(ASKED)
    bench.take_over()
    bench.read([named(bench, weighed("a", 2), ASKED)])
    assert bench.story("a") == ("weighed 5",)


def test_a_repeat_that_waits_behind_its_first_is_decided_once_too(bench: Bench) -> None:
    bench.feed(sent("a"))
    bench.answer("a", Retryable("away"))
    bench.read([named(bench, weighed("a", 2), ASKED), named(bench, weighed("a", 2), ASKED)])
    assert [name for name, _ in bench.waits("a")] == ["ParcelSent", "ParcelWeighed", "ParcelWeighed"]
    bench.wait(1_000)
    bench.answer("a")
    assert bench.story("a") == ("CourierBooked", "weighed 5")
    assert bench.waits("a") == []


@pytest.mark.parametrize(
    "ce_id", ["request:", f"request:{UUID}", f"Request:{UUID}:aa", "1", f"request:{UUID}:AA"]
)
def test_any_other_id_names_no_request(bench: Bench, ce_id: str) -> None:
    for _ in range(2):
        bench.read([named(bench, weighed("a", 2), ce_id)])
    assert bench.story("a") == ("weighed 5", "weighed 5")


def test_a_decider_that_remembers_none_decides_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(2):
        bench.read([named(bench, weighed("a", 2), ASKED)])
    assert bench.story("a") == ("weighed 5", "weighed 5")


def test_no_more_requests_are_remembered_than_the_decider_says(bench: Bench) -> None:
    for number in range(20):
        bench.read([named(bench, weighed("a", 2), RequestId(f"{number:08}{UUID[8:]}", "aa"))])
    assert len(bench.store.load(ONCE, "a").answered) == 4
    bench.feed(lost("a"))
    assert len(bench.story("a")) == 21
